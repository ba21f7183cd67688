// The boundary between Swift and libtorch: plain C, no C++ exception crosses it.
//
// The functions are those of Sources/TorchShim, which set-up compiles beside libtorch into one shared library. Loader.c opens
// it at the first call and hands every call on to it, so that a package which depends on this one needs no libtorch to be
// built, and no flags.
//
// An operator is called by name through libtorch's dispatcher: push its arguments in the order of its
// schema, then call. The pushed arguments and the results live in a stack of the calling thread, so a
// call must finish on the thread that began it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VT_CHECKED __attribute__((warn_unused_result))

/// One reference to a tensor.
typedef struct vt_tensor *vt_tensor_t;
/// One reference to a random generator.
typedef struct vt_generator *vt_generator_t;
/// An operator with its schema; lives as long as the process.
typedef struct vt_operator *vt_operator_t;

/// What went wrong; the message and the kind stay readable on this thread until the next failure.
typedef enum vt_status {
  VT_OK = 0,
  VT_ERROR = 1,
  VT_INDEX_ERROR = 2,
  VT_TYPE_ERROR = 3,
  VT_VALUE_ERROR = 4,
  VT_NOT_IMPLEMENTED = 5,
  VT_OUT_OF_MEMORY = 6,
  VT_NOT_LOADED = 7,
} vt_status;

/// Opens libtorch unless it is open; null when it is, else why not, in one line. The other functions open it too, and
/// where it is not there fail with `VT_NOT_LOADED`, or do nothing.
const char *_Nullable vt_load(void);

const char *_Nonnull vt_last_message(void);

// Calls
vt_status vt_operator_find(const char *_Nonnull name, const char *_Nonnull overload,
                           vt_operator_t _Nullable *_Nonnull out) VT_CHECKED;
void vt_push_default(void);
void vt_push_none(void);
void vt_push_tensor(vt_tensor_t _Nonnull tensor);
void vt_push_int(int64_t value);
void vt_push_double(double value);
void vt_push_bool(bool value);
void vt_push_string(const char *_Nonnull value);
void vt_push_ints(const int64_t *_Nullable values, size_t count);
void vt_push_doubles(const double *_Nullable values, size_t count);
/// A list of tensors; a null entry is an absent one.
void vt_push_tensors(const vt_tensor_t _Nullable *_Nullable values, size_t count);
void vt_push_generator(vt_generator_t _Nonnull generator);
/// Runs the operator on what was pushed; arguments that were not pushed take their defaults.
/// `result` receives the first tensor that it returns, or null.
vt_status vt_call(vt_operator_t _Nonnull op, vt_tensor_t _Nullable *_Nonnull result) VT_CHECKED;
/// Takes the tensors after the first; a list result counts each of its tensors.
size_t vt_result_count(void);
vt_tensor_t _Nullable vt_take_result(size_t index);

// Tensors
void vt_tensor_release(vt_tensor_t _Nonnull tensor);
/// References handed out and not yet released.
int64_t vt_live_tensors(void);
int64_t vt_tensor_rank(vt_tensor_t _Nonnull tensor);
int64_t vt_tensor_size(vt_tensor_t _Nonnull tensor, int64_t axis);
int64_t vt_tensor_stride(vt_tensor_t _Nonnull tensor, int64_t axis);
int64_t vt_tensor_count(vt_tensor_t _Nonnull tensor);
int32_t vt_tensor_dtype(vt_tensor_t _Nonnull tensor);
int32_t vt_tensor_device_type(vt_tensor_t _Nonnull tensor);
int32_t vt_tensor_device_index(vt_tensor_t _Nonnull tensor);
bool vt_tensor_is_contiguous(vt_tensor_t _Nonnull tensor);
bool vt_tensor_requires_grad(vt_tensor_t _Nonnull tensor);
vt_status vt_tensor_set_requires_grad(vt_tensor_t _Nonnull tensor, bool value) VT_CHECKED;
vt_tensor_t _Nullable vt_tensor_grad(vt_tensor_t _Nonnull tensor);
vt_status vt_tensor_set_grad(vt_tensor_t _Nonnull tensor, vt_tensor_t _Nullable grad) VT_CHECKED;
vt_status vt_tensor_backward(vt_tensor_t _Nonnull tensor) VT_CHECKED;
/// The first element's address, on the tensor's own device; null for an empty tensor.
void *_Nullable vt_tensor_data(vt_tensor_t _Nonnull tensor);
/// A tensor over memory of the caller's; `release(context)` is called once when it is no longer used.
vt_status vt_tensor_over(void *_Nonnull data, const int64_t *_Nullable sizes, size_t rank, int32_t dtype,
                         void *_Nullable context, void (*_Nonnull release)(void *_Nullable),
                         vt_tensor_t _Nullable *_Nonnull out) VT_CHECKED;
vt_status vt_tensor_item_double(vt_tensor_t _Nonnull tensor, double *_Nonnull out) VT_CHECKED;
vt_status vt_tensor_item_int(vt_tensor_t _Nonnull tensor, int64_t *_Nonnull out) VT_CHECKED;

// Scopes. Each returns what was set before, for the caller to restore.
bool vt_grad_enabled(void);
void vt_set_grad_enabled(bool enabled);
void *_Nonnull vt_inference_enter(void);
void vt_inference_leave(void *_Nonnull scope);
bool vt_autocast_enabled(int32_t device_type);
int32_t vt_autocast_dtype(int32_t device_type);
vt_status vt_autocast_enter(int32_t device_type, bool enabled, int32_t dtype) VT_CHECKED;
vt_status vt_autocast_leave(int32_t device_type, bool enabled, int32_t dtype) VT_CHECKED;

// Checkpointing. A piece is a closure: it takes over the references `inputs` and gives each of its results to
// `vt_piece_output`; what fails, it says to `vt_piece_fail`.
typedef vt_status (*vt_piece)(void *_Nonnull context, const vt_tensor_t _Nonnull *_Nullable inputs, size_t count,
                              void *_Nonnull outputs);
void vt_piece_output(void *_Nonnull outputs, vt_tensor_t _Nonnull tensor);
vt_status vt_piece_fail(const char *_Nonnull message);
/// Runs the piece without recording, and once more for the gradient; `release(context)` is called once, when it is no
/// longer needed.
vt_status vt_checkpoint(const vt_tensor_t _Nonnull *_Nullable inputs, size_t count, vt_piece _Nonnull run,
                        void *_Nonnull context, void (*_Nonnull release)(void *_Nonnull),
                        vt_tensor_t _Nullable *_Nonnull outputs, size_t capacity,
                        size_t *_Nonnull output_count) VT_CHECKED;

// Process groups. Rank 0, or the launcher, listens at `host`:`port`; every rank calls with the same arguments but its own
// rank.
typedef struct vt_group *vt_group_t;
/// Joins the group; waits for the others for so many seconds, here and in every call. `lost(rank)` is called on another
/// thread when the process of a rank has ended without `vt_group_leave` and this one does not leave within `grace`
/// seconds.
vt_status vt_group_join(const char *_Nonnull host, int32_t port, int32_t rank, int32_t size, bool launcher_listens,
                        const char *_Nonnull prefix, int32_t device_type, int32_t device_index, double seconds,
                        double grace, void (*_Nonnull lost)(int32_t rank, int32_t size),
                        vt_group_t _Nullable *_Nonnull out) VT_CHECKED;
/// Ends the membership; with `well`, the others are told that this rank is done.
void vt_group_leave(vt_group_t _Nonnull group, bool well);
/// A rank whose process has ended; -1 for none. Waits for so many seconds until there is one.
int32_t vt_group_lost(vt_group_t _Nonnull group, double seconds);
/// Sums the tensors of all ranks in place.
vt_status vt_group_all_reduce(vt_group_t _Nonnull group, vt_tensor_t _Nonnull tensor) VT_CHECKED;
/// Overwrites the tensor with that of rank `root`.
vt_status vt_group_broadcast(vt_group_t _Nonnull group, vt_tensor_t _Nonnull tensor, int32_t root) VT_CHECKED;
vt_status vt_group_barrier(vt_group_t _Nonnull group) VT_CHECKED;

// Generators, threads, devices
vt_status vt_generator_new(int32_t device_type, int32_t device_index, uint64_t seed,
                           vt_generator_t _Nullable *_Nonnull out) VT_CHECKED;
void vt_generator_release(vt_generator_t _Nonnull generator);
vt_status vt_generator_state(vt_generator_t _Nonnull generator, vt_tensor_t _Nullable *_Nonnull out) VT_CHECKED;
vt_status vt_generator_set_state(vt_generator_t _Nonnull generator, vt_tensor_t _Nonnull state) VT_CHECKED;
vt_status vt_manual_seed(uint64_t seed) VT_CHECKED;
int32_t vt_threads(void);
vt_status vt_set_threads(int32_t count) VT_CHECKED;
/// Opens libtorch's CUDA part when it is beside the CPU part; true when a GPU can be used.
bool vt_cuda_available(void);
int32_t vt_cuda_count(void);
bool vt_mps_available(void);

#ifdef __cplusplus
}
#endif
