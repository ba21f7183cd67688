// A piece of a network whose inner values are not kept for the gradient but computed again (Chen et al., arXiv
// 1604.06174), as torch.utils.checkpoint does it with reentrant gradients.

#include "Shim.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>
#include <vector>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What must be as it was when the piece is computed again: what autocast did, and where the random numbers stood.
class Surroundings {
 public:
  Surroundings() = default;

  explicit Surroundings(at::Device device) : device_(device) {
    enabled_ = at::autocast::is_autocast_enabled(device.type());
    dtype_ = at::autocast::get_autocast_dtype(device.type());
    random_ = states(device);
  }

  /// Puts them in place and gives what was there before.
  Surroundings exchange() const {
    Surroundings before(device_);
    set();
    return before;
  }

  void set() const {
    at::autocast::set_autocast_enabled(device_.type(), enabled_);
    at::autocast::set_autocast_dtype(device_.type(), dtype_);
    size_t index = 0;
    for (auto generator : generators(device_)) {
      std::lock_guard<std::mutex> lock(generator.mutex());
      generator.set_state(random_[index++]);
    }
  }

 private:
  static std::vector<at::Generator> generators(at::Device device) {
    std::vector<at::Generator> all = {at::detail::getDefaultCPUGenerator()};
    if (!device.is_cpu()) all.push_back(at::globalContext().defaultGenerator(device));
    return all;
  }

  static std::vector<at::Tensor> states(at::Device device) {
    std::vector<at::Tensor> all;
    for (auto generator : generators(device)) {
      std::lock_guard<std::mutex> lock(generator.mutex());
      all.push_back(generator.get_state());
    }
    return all;
  }

  at::Device device_ = at::kCPU;
  bool enabled_ = false;
  at::ScalarType dtype_ = at::kFloat;
  std::vector<at::Tensor> random_;
};

/// Swift's closure, and what it ran in.
struct Piece : torch::CustomClassHolder {
  Piece(vt_piece run, void *context, void (*release)(void *)) : run(run), context(context), release(release) {}
  ~Piece() override { release(context); }

  variable_list operator()(const variable_list &inputs) const {
    std::vector<vt_tensor_t> handles;
    for (const auto &input : inputs) handles.push_back(hand(input));
    variable_list outputs;
    // The handles are the closure's from here on.
    const auto status = run(context, handles.data(), handles.size(), &outputs);
    TORCH_CHECK(status == VT_OK, vt_last_message());
    return outputs;
  }

  const vt_piece run;
  void *const context;
  void (*const release)(void *);
  Surroundings surroundings;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  /// `inputs` begins with an empty tensor that wants a gradient, so that there is a gradient to ask for also where only
  /// parameters inside the piece want one.
  static variable_list forward(AutogradContext *ctx, at::TensorList inputs, const c10::intrusive_ptr<Piece> &piece) {
    ctx->save_for_backward(inputs.vec());
    ctx->saved_data["piece"] = c10::IValue::make_capsule(piece);
    ctx->set_materialize_grads(false);
    return (*piece)({inputs.begin() + 1, inputs.end()});
  }

  static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
    variable_list inputs;
    const auto saved = ctx->get_saved_variables();
    for (size_t i = 1; i < saved.size(); ++i)
      inputs.push_back(saved[i].detach().set_requires_grad(saved[i].requires_grad()));
    const auto capsule = ctx->saved_data["piece"].toCapsule();
    const auto &piece = static_cast<const Piece &>(*capsule);
    variable_list outputs;
    {
      const at::AutoGradMode recording(true);
      const auto before = piece.surroundings.exchange();
      try {
        outputs = piece(inputs);
      } catch (...) {
        before.set();
        throw;
      }
      before.set();
    }
    variable_list roots, rootGradients;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!gradients[i].defined() || !outputs[i].requires_grad()) continue;
      roots.push_back(outputs[i]);
      rootGradients.push_back(gradients[i]);
    }
    if (!roots.empty()) torch::autograd::backward(roots, rootGradients);
    variable_list results = {at::Tensor()};
    for (const auto &input : inputs) results.push_back(input.grad());
    // One for the piece, which has no gradient.
    results.emplace_back();
    return results;
  }
};

}  // namespace

void vt_piece_output(void *outputs, vt_tensor_t tensor) {
  static_cast<variable_list *>(outputs)->push_back(borrow(tensor));
}

vt_status vt_piece_fail(const char *message) { return fail(VT_ERROR, message); }

vt_status vt_checkpoint(const vt_tensor_t *inputs, size_t count, vt_piece run, void *context,
                        void (*release)(void *), vt_tensor_t *outputs, size_t capacity, size_t *outputCount) {
  auto piece = c10::make_intrusive<Piece>(run, context, release);
  return guarded([&] {
    variable_list all = {at::empty({0}).set_requires_grad(true)};
    for (size_t i = 0; i < count; ++i) all.push_back(borrow(inputs[i]));
    piece->surroundings = Surroundings(count > 0 ? all.back().device() : at::Device(at::kCPU));
    const auto results = Recomputed::apply(at::TensorList(all), piece);
    TORCH_CHECK(results.size() <= capacity, "gives ", results.size(), " tensors, ", capacity, " are possible");
    for (size_t i = 0; i < results.size(); ++i) outputs[i] = hand(results[i]);
    *outputCount = results.size();
  });
}
