#include "Shim.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Logging.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace {

thread_local std::string lastMessage = "no error";
thread_local std::vector<c10::IValue> stack;
thread_local std::vector<bool> isDefault;
thread_local std::vector<at::Tensor> results;
std::atomic<int64_t> liveTensors{0};

/// A library does not write to its program's standard error: what fails is thrown, the rest is libtorch's own business.
struct Quiet : c10::WarningHandler {
  Quiet() {
    c10::WarningUtils::set_warning_handler(this);
    if (!getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
  }
  void process(const c10::Warning &) override {}
} quiet;

c10::TensorImpl *impl(vt_tensor_t tensor) { return reinterpret_cast<c10::TensorImpl *>(tensor); }

using Impl = c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;

void push(c10::IValue value) {
  stack.push_back(std::move(value));
  isDefault.push_back(false);
}

/// Converts what C can say (integers, strings, plain lists) to what the schema asks for.
c10::IValue fitted(c10::IValue value, const c10::Argument &argument) {
  if (!value.isInt() && !value.isString() && !value.isList()) return value;
  c10::TypePtr type = argument.type();
  if (auto optional = type->cast<c10::OptionalType>()) {
    if (value.isNone()) return value;
    type = optional->getElementType();
  }
  switch (type->kind()) {
    case c10::TypeKind::FloatType:
      return value.isInt() ? c10::IValue(static_cast<double>(value.toInt())) : value;
    case c10::TypeKind::DeviceObjType:
      return value.isString() ? c10::IValue(c10::Device(value.toStringRef())) : value;
    case c10::TypeKind::ListType: {
      const auto element = type->expectRef<c10::ListType>().getElementType();
      if (value.isList() && element->kind() == c10::TypeKind::OptionalType) {
        c10::List<std::optional<at::Tensor>> list;
        for (const auto &entry : value.toListRef())
          list.push_back(entry.isNone() ? std::nullopt : std::optional<at::Tensor>(entry.toTensor()));
        return list;
      }
      return value;
    }
    default:
      return value;
  }
}

void collect(const c10::IValue &value) {
  if (value.isTensor()) {
    results.push_back(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor &tensor : value.toTensorVector()) results.push_back(tensor);
  }
}

void clearCall() {
  stack.clear();
  isDefault.clear();
}

at::DeviceType deviceType(int32_t type) { return static_cast<at::DeviceType>(type); }

}  // namespace

vt_tensor_t hand(at::Tensor tensor) {
  if (!tensor.defined()) return nullptr;
  liveTensors.fetch_add(1, std::memory_order_relaxed);
  return reinterpret_cast<vt_tensor_t>(tensor.unsafeReleaseTensorImpl());
}

at::Tensor borrow(vt_tensor_t tensor) {
  c10::raw::intrusive_ptr::incref(impl(tensor));
  return at::Tensor(Impl::reclaim(impl(tensor)));
}

vt_status fail(vt_status status, const std::string &message) {
  lastMessage = message;
  return status;
}

const char *vt_last_message(void) { return lastMessage.c_str(); }

// MARK: Calls

vt_status vt_operator_find(const char *name, const char *overload, vt_operator_t *out) {
  return guarded([&] {
    auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
    *out = reinterpret_cast<vt_operator_t>(new c10::OperatorHandle(std::move(handle)));
  });
}

void vt_push_default(void) {
  stack.emplace_back();
  isDefault.push_back(true);
}
void vt_push_none(void) { push(c10::IValue()); }
void vt_push_tensor(vt_tensor_t tensor) { push(borrow(tensor)); }
void vt_push_int(int64_t value) { push(value); }
void vt_push_double(double value) { push(value); }
void vt_push_bool(bool value) { push(value); }
void vt_push_string(const char *value) { push(std::string(value)); }
void vt_push_ints(const int64_t *values, size_t count) {
  c10::List<int64_t> list;
  list.reserve(count);
  for (size_t i = 0; i < count; ++i) list.push_back(values[i]);
  push(std::move(list));
}
void vt_push_doubles(const double *values, size_t count) {
  c10::List<double> list;
  list.reserve(count);
  for (size_t i = 0; i < count; ++i) list.push_back(values[i]);
  push(std::move(list));
}
void vt_push_tensors(const vt_tensor_t *values, size_t count) {
  bool complete = true;
  for (size_t i = 0; i < count; ++i) complete = complete && values[i];
  if (complete) {
    c10::List<at::Tensor> list;
    list.reserve(count);
    for (size_t i = 0; i < count; ++i) list.push_back(borrow(values[i]));
    push(std::move(list));
  } else {
    c10::List<std::optional<at::Tensor>> list;
    list.reserve(count);
    for (size_t i = 0; i < count; ++i)
      list.push_back(values[i] ? std::optional<at::Tensor>(borrow(values[i])) : std::nullopt);
    push(std::move(list));
  }
}
void vt_push_generator(vt_generator_t generator) {
  push(*reinterpret_cast<at::Generator *>(generator));
}

vt_status vt_call(vt_operator_t op, vt_tensor_t *result) {
  *result = nullptr;
  results.clear();
  const auto status = guarded([&] {
    const auto &handle = *reinterpret_cast<c10::OperatorHandle *>(op);
    const auto &arguments = handle.schema().arguments();
    TORCH_CHECK(stack.size() <= arguments.size(), "takes ", arguments.size(), " arguments, got ", stack.size());
    const size_t given = stack.size();
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (i < given && !isDefault[i]) {
        stack[i] = fitted(std::move(stack[i]), arguments[i]);
        continue;
      }
      const auto &value = arguments[i].default_value();
      TORCH_CHECK(value.has_value(), "argument '", arguments[i].name(), "' is missing");
      if (i < given) stack[i] = *value;
      else stack.push_back(*value);
    }
    handle.callBoxed(stack);
    for (const auto &value : stack) collect(value);
  });
  clearCall();
  if (status == VT_OK && !results.empty()) *result = hand(std::move(results[0]));
  return status;
}

size_t vt_result_count(void) { return results.size(); }
vt_tensor_t vt_take_result(size_t index) {
  return index < results.size() ? hand(std::move(results[index])) : nullptr;
}

// MARK: Tensors

void vt_tensor_release(vt_tensor_t tensor) {
  liveTensors.fetch_sub(1, std::memory_order_relaxed);
  Impl::reclaim(impl(tensor));
}
int64_t vt_live_tensors(void) { return liveTensors.load(std::memory_order_relaxed); }
int64_t vt_tensor_rank(vt_tensor_t tensor) { return impl(tensor)->dim(); }
int64_t vt_tensor_size(vt_tensor_t tensor, int64_t axis) { return impl(tensor)->sizes()[axis]; }
int64_t vt_tensor_stride(vt_tensor_t tensor, int64_t axis) { return impl(tensor)->strides()[axis]; }
int64_t vt_tensor_count(vt_tensor_t tensor) { return impl(tensor)->numel(); }
int32_t vt_tensor_dtype(vt_tensor_t tensor) {
  return static_cast<int32_t>(c10::typeMetaToScalarType(impl(tensor)->dtype()));
}
int32_t vt_tensor_device_type(vt_tensor_t tensor) { return static_cast<int32_t>(impl(tensor)->device().type()); }
int32_t vt_tensor_device_index(vt_tensor_t tensor) { return impl(tensor)->device().index(); }
bool vt_tensor_is_contiguous(vt_tensor_t tensor) { return impl(tensor)->is_contiguous(); }
bool vt_tensor_requires_grad(vt_tensor_t tensor) { return borrow(tensor).requires_grad(); }
vt_status vt_tensor_set_requires_grad(vt_tensor_t tensor, bool value) {
  return guarded([&] { borrow(tensor).set_requires_grad(value); });
}
vt_tensor_t vt_tensor_grad(vt_tensor_t tensor) { return hand(borrow(tensor).mutable_grad()); }
vt_status vt_tensor_set_grad(vt_tensor_t tensor, vt_tensor_t grad) {
  return guarded([&] { borrow(tensor).mutable_grad() = grad ? borrow(grad) : at::Tensor(); });
}
vt_status vt_tensor_backward(vt_tensor_t tensor) {
  return guarded([&] { borrow(tensor).backward(); });
}
void *vt_tensor_data(vt_tensor_t tensor) {
  return impl(tensor)->numel() == 0 ? nullptr : borrow(tensor).data_ptr();
}
vt_status vt_tensor_over(void *data, const int64_t *sizes, size_t rank, int32_t dtype, void *context,
                         void (*release)(void *), vt_tensor_t *out) {
  return guarded([&] {
    auto tensor = at::from_blob(data, at::IntArrayRef(sizes, rank), [context, release](void *) { release(context); },
                                at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype)));
    *out = hand(std::move(tensor));
  });
}
vt_status vt_tensor_item_double(vt_tensor_t tensor, double *out) {
  return guarded([&] { *out = borrow(tensor).item().toDouble(); });
}
vt_status vt_tensor_item_int(vt_tensor_t tensor, int64_t *out) {
  return guarded([&] { *out = borrow(tensor).item().toLong(); });
}

// MARK: Scopes

bool vt_grad_enabled(void) { return c10::GradMode::is_enabled(); }
void vt_set_grad_enabled(bool enabled) { c10::GradMode::set_enabled(enabled); }
void *vt_inference_enter(void) { return new c10::InferenceMode(true); }
void vt_inference_leave(void *scope) { delete static_cast<c10::InferenceMode *>(scope); }
bool vt_autocast_enabled(int32_t type) { return at::autocast::is_autocast_enabled(deviceType(type)); }
int32_t vt_autocast_dtype(int32_t type) {
  return static_cast<int32_t>(at::autocast::get_autocast_dtype(deviceType(type)));
}
static void setAutocast(at::DeviceType type, bool enabled, at::ScalarType dtype) {
  // libtorch's cache of cast weights is one for the whole process: another thread that empties it changes the order in
  // which gradients are summed, and so the last bits of a training.
  at::autocast::set_autocast_cache_enabled(false);
  at::autocast::set_autocast_enabled(type, enabled);
  at::autocast::set_autocast_dtype(type, dtype);
}
vt_status vt_autocast_enter(int32_t type, bool enabled, int32_t dtype) {
  return guarded([&] {
    setAutocast(deviceType(type), enabled, static_cast<at::ScalarType>(dtype));
  });
}
vt_status vt_autocast_leave(int32_t type, bool enabled, int32_t dtype) {
  return guarded([&] {
    setAutocast(deviceType(type), enabled, static_cast<at::ScalarType>(dtype));
  });
}

// MARK: Generators, threads, devices

vt_status vt_generator_new(int32_t type, int32_t index, uint64_t seed, vt_generator_t *out) {
  return guarded([&] {
    const auto device = at::Device(deviceType(type), static_cast<at::DeviceIndex>(index));
    auto generator = device.is_cpu()
                         ? at::detail::createCPUGenerator(seed)
                         : at::globalContext().getAcceleratorHooksInterface(device.type()).getNewGenerator(device.index());
    generator.set_current_seed(seed);
    *out = reinterpret_cast<vt_generator_t>(new at::Generator(std::move(generator)));
  });
}
void vt_generator_release(vt_generator_t generator) { delete reinterpret_cast<at::Generator *>(generator); }
vt_status vt_generator_state(vt_generator_t generator, vt_tensor_t *out) {
  return guarded([&] { *out = hand(reinterpret_cast<at::Generator *>(generator)->get_state()); });
}
vt_status vt_generator_set_state(vt_generator_t generator, vt_tensor_t state) {
  return guarded([&] { reinterpret_cast<at::Generator *>(generator)->set_state(borrow(state)); });
}
vt_status vt_manual_seed(uint64_t seed) {
  return guarded([&] { at::manual_seed(seed); });
}
int32_t vt_threads(void) { return at::get_num_threads(); }
vt_status vt_set_threads(int32_t count) {
  return guarded([&] { at::set_num_threads(count); });
}
bool vt_cuda_available(void) {
  // libtorch's CUDA part registers itself when it is loaded; without it every CUDA query answers no.
  static void *library = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  return library && at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
}
int32_t vt_cuda_count(void) { return vt_cuda_available() ? at::detail::getCUDAHooks().deviceCount() : 0; }
bool vt_mps_available(void) { return at::hasMPS(); }
