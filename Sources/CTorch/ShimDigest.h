// Written by Tools/setup.sh: which build of Sources/TorchShim goes with these sources.
#define VT_SHIM_DIGEST "8a0121b99d1c"
