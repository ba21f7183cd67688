// Opens the shared library that set-up compiled from Sources/TorchShim, with libtorch behind it, and hands every call on.

#include "CTorch.h"
#include "ShimDigest.h"

#include <dlfcn.h>
#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#define CACHES "Library/Caches/vitrail"
#define SUFFIX ".dylib"
#else
#define CACHES ".cache/vitrail"
#define SUFFIX ".so"
#endif

#define LIBRARY "libvitrail-torch-" VT_SHIM_DIGEST SUFFIX

/// How often a thread of OpenMP's looks for work before it sleeps (docs/benchmarks.md, "In company"). libgomp's own
/// 300,000 are milliseconds, which another program's threads could have had.
#define SPINS "2000"

static void *library;
static char problem[4096];

/// Opens the library in a folder; false when it is not there. What else goes wrong is kept in `problem`.
static bool open_in(const char *folder) {
  char path[2048];
  if (snprintf(path, sizeof path, "%s/%s", folder, LIBRARY) >= (int)sizeof path || access(path, F_OK) != 0) return false;
  // libgomp reads its environment once, when it is loaded; what the user says there holds.
  const bool is_ours = !getenv("GOMP_SPINCOUNT") && !getenv("OMP_WAIT_POLICY");
  if (is_ours) setenv("GOMP_SPINCOUNT", SPINS, 0);
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (is_ours) unsetenv("GOMP_SPINCOUNT");
  if (!library) snprintf(problem, sizeof problem, "libtorch cannot be opened: %s", dlerror());
  return true;
}

/// The folder of the program, without its last slash; empty when the system does not say.
static void program_folder(char *folder, size_t size) {
  folder[0] = 0;
#ifdef __APPLE__
  char link[2048];
  uint32_t capacity = sizeof link;
  char *path = _NSGetExecutablePath(link, &capacity) == 0 ? realpath(link, NULL) : NULL;
  if (path) snprintf(folder, size, "%s", path);
  free(path);
#else
  const ssize_t length = readlink("/proc/self/exe", folder, size - 1);
  folder[length < 0 ? 0 : length] = 0;
#endif
  char *slash = strrchr(folder, '/');
  if (slash) *slash = 0;
}

static void open_library(void) {
  char places[4][2048];
  int count = 0;
  const char *own = getenv("VITRAIL_RUNTIME");
  if (own && *own) {
    snprintf(places[count++], sizeof places[0], "%s", own);
  } else {
    char folder[2000];
    program_folder(folder, sizeof folder);
    if (folder[0]) snprintf(places[count++], sizeof places[0], "%s/vitrail-runtime", folder);
    const char *home = getenv("HOME");
    if (home && *home) snprintf(places[count++], sizeof places[0], "%s/" CACHES, home);
    const struct passwd *user = getpwuid(getuid());
    if (user && user->pw_dir && (!home || strcmp(home, user->pw_dir) != 0))
      snprintf(places[count++], sizeof places[0], "%s/" CACHES, user->pw_dir);
  }
  for (int i = 0; i < count; ++i)
    if (open_in(places[i])) return;
  snprintf(problem, sizeof problem,
           "libtorch is not set up: run `swift package --disable-sandbox vitrail-setup` in your package, or `make setup` "
           "in Vitrail's (looked for " LIBRARY " in");
  for (int i = 0; i < count; ++i) {
    const size_t used = strlen(problem);
    snprintf(problem + used, sizeof problem - used, "%s %s", i ? "," : "", places[i]);
  }
  strncat(problem, ")", sizeof problem - strlen(problem) - 1);
}

const char *vt_load(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_library);
  return library ? NULL : problem;
}

static void *symbol(const char *name) { return vt_load() ? NULL : dlsym(library, name); }

/// Defines a function of CTorch.h that calls the one of the same name in the library, or returns `otherwise`.
#define FORWARD(result, name, parameters, arguments, otherwise)                        \
  result name parameters {                                                             \
    typedef result(*function_t) parameters;                                            \
    static _Atomic(function_t) found;                                                  \
    function_t function = atomic_load_explicit(&found, memory_order_acquire);          \
    if (!function) {                                                                   \
      function = (function_t)symbol(#name);                                            \
      if (!function) return otherwise;                                                 \
      atomic_store_explicit(&found, function, memory_order_release);                   \
    }                                                                                  \
    return function arguments;                                                         \
  }
#define FORWARD_STATUS(name, parameters, arguments) FORWARD(vt_status, name, parameters, arguments, VT_NOT_LOADED)
#define NOTHING

FORWARD(const char *, vt_last_message, (void), (), problem)

// Calls
FORWARD_STATUS(vt_operator_find, (const char *name, const char *overload, vt_operator_t *out), (name, overload, out))
FORWARD(void, vt_push_default, (void), (), NOTHING)
FORWARD(void, vt_push_none, (void), (), NOTHING)
FORWARD(void, vt_push_tensor, (vt_tensor_t tensor), (tensor), NOTHING)
FORWARD(void, vt_push_int, (int64_t value), (value), NOTHING)
FORWARD(void, vt_push_double, (double value), (value), NOTHING)
FORWARD(void, vt_push_bool, (bool value), (value), NOTHING)
FORWARD(void, vt_push_string, (const char *value), (value), NOTHING)
FORWARD(void, vt_push_ints, (const int64_t *values, size_t count), (values, count), NOTHING)
FORWARD(void, vt_push_doubles, (const double *values, size_t count), (values, count), NOTHING)
FORWARD(void, vt_push_tensors, (const vt_tensor_t *values, size_t count), (values, count), NOTHING)
FORWARD(void, vt_push_generator, (vt_generator_t generator), (generator), NOTHING)
FORWARD_STATUS(vt_call, (vt_operator_t op, vt_tensor_t *result), (op, result))
FORWARD(size_t, vt_result_count, (void), (), 0)
FORWARD(vt_tensor_t, vt_take_result, (size_t index), (index), NULL)

// Tensors
FORWARD(void, vt_tensor_release, (vt_tensor_t tensor), (tensor), NOTHING)
FORWARD(int64_t, vt_live_tensors, (void), (), 0)
FORWARD(int64_t, vt_tensor_rank, (vt_tensor_t tensor), (tensor), 0)
FORWARD(int64_t, vt_tensor_size, (vt_tensor_t tensor, int64_t axis), (tensor, axis), 0)
FORWARD(int64_t, vt_tensor_stride, (vt_tensor_t tensor, int64_t axis), (tensor, axis), 0)
FORWARD(int64_t, vt_tensor_count, (vt_tensor_t tensor), (tensor), 0)
FORWARD(int32_t, vt_tensor_dtype, (vt_tensor_t tensor), (tensor), 0)
FORWARD(int32_t, vt_tensor_device_type, (vt_tensor_t tensor), (tensor), 0)
FORWARD(int32_t, vt_tensor_device_index, (vt_tensor_t tensor), (tensor), 0)
FORWARD(bool, vt_tensor_is_contiguous, (vt_tensor_t tensor), (tensor), false)
FORWARD(bool, vt_tensor_requires_grad, (vt_tensor_t tensor), (tensor), false)
FORWARD_STATUS(vt_tensor_set_requires_grad, (vt_tensor_t tensor, bool value), (tensor, value))
FORWARD(vt_tensor_t, vt_tensor_grad, (vt_tensor_t tensor), (tensor), NULL)
FORWARD_STATUS(vt_tensor_set_grad, (vt_tensor_t tensor, vt_tensor_t grad), (tensor, grad))
FORWARD_STATUS(vt_tensor_backward, (vt_tensor_t tensor), (tensor))
FORWARD(void *, vt_tensor_data, (vt_tensor_t tensor), (tensor), NULL)
FORWARD_STATUS(vt_tensor_over,
               (void *data, const int64_t *sizes, size_t rank, int32_t dtype, void *context, void (*release)(void *),
                vt_tensor_t *out),
               (data, sizes, rank, dtype, context, release, out))
FORWARD_STATUS(vt_tensor_item_double, (vt_tensor_t tensor, double *out), (tensor, out))
FORWARD_STATUS(vt_tensor_item_int, (vt_tensor_t tensor, int64_t *out), (tensor, out))

// Scopes
FORWARD(bool, vt_grad_enabled, (void), (), false)
FORWARD(void, vt_set_grad_enabled, (bool enabled), (enabled), NOTHING)
FORWARD(void *, vt_inference_enter, (void), (), problem)
FORWARD(void, vt_inference_leave, (void *scope), (scope), NOTHING)
FORWARD(bool, vt_autocast_enabled, (int32_t device_type), (device_type), false)
FORWARD(int32_t, vt_autocast_dtype, (int32_t device_type), (device_type), 0)
FORWARD_STATUS(vt_autocast_enter, (int32_t device_type, bool enabled, int32_t dtype), (device_type, enabled, dtype))
FORWARD_STATUS(vt_autocast_leave, (int32_t device_type, bool enabled, int32_t dtype), (device_type, enabled, dtype))

// Checkpointing
FORWARD(void, vt_piece_output, (void *outputs, vt_tensor_t tensor), (outputs, tensor), NOTHING)
FORWARD_STATUS(vt_piece_fail, (const char *message), (message))
FORWARD_STATUS(vt_checkpoint,
               (const vt_tensor_t *inputs, size_t count, vt_piece run, void *context, void (*release)(void *),
                vt_tensor_t *outputs, size_t capacity, size_t *output_count),
               (inputs, count, run, context, release, outputs, capacity, output_count))

// Process groups
FORWARD_STATUS(vt_group_join,
               (const char *host, int32_t port, int32_t rank, int32_t size, bool launcher_listens, const char *prefix,
                int32_t device_type, int32_t device_index, double seconds, double grace, void (*lost)(int32_t, int32_t),
                vt_group_t *out),
               (host, port, rank, size, launcher_listens, prefix, device_type, device_index, seconds, grace, lost, out))
FORWARD(void, vt_group_leave, (vt_group_t group, bool well), (group, well), NOTHING)
FORWARD(int32_t, vt_group_lost, (vt_group_t group, double seconds), (group, seconds), -1)
FORWARD_STATUS(vt_group_all_reduce, (vt_group_t group, vt_tensor_t tensor), (group, tensor))
FORWARD_STATUS(vt_group_broadcast, (vt_group_t group, vt_tensor_t tensor, int32_t root), (group, tensor, root))
FORWARD_STATUS(vt_group_barrier, (vt_group_t group), (group))

// Generators, threads, devices
FORWARD_STATUS(vt_generator_new, (int32_t device_type, int32_t device_index, uint64_t seed, vt_generator_t *out),
               (device_type, device_index, seed, out))
FORWARD(void, vt_generator_release, (vt_generator_t generator), (generator), NOTHING)
FORWARD_STATUS(vt_generator_state, (vt_generator_t generator, vt_tensor_t *out), (generator, out))
FORWARD_STATUS(vt_generator_set_state, (vt_generator_t generator, vt_tensor_t state), (generator, state))
FORWARD_STATUS(vt_manual_seed, (uint64_t seed), (seed))
FORWARD(int32_t, vt_threads, (void), (), 1)
FORWARD_STATUS(vt_set_threads, (int32_t count), (count))
FORWARD(bool, vt_cuda_available, (void), (), false)
FORWARD(int32_t, vt_cuda_count, (void), (), 0)
FORWARD(bool, vt_mps_available, (void), (), false)
