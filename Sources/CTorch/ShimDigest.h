// Written by Tools/setup.sh: which build of Sources/TorchShim goes with these sources.
#define VT_SHIM_DIGEST "2e6704ed5db1"
