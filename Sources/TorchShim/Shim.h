// What the shim's files share.
#pragma once
// The library hides all but these; a program has functions of the same names (CTorch's Loader.c).
#pragma GCC visibility push(default)
#include "CTorch.h"
#pragma GCC visibility pop

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <string>

/// Gives a tensor to Swift as one reference; null for an undefined one.
vt_tensor_t hand(at::Tensor tensor);

/// The tensor behind a reference, which stays Swift's.
at::Tensor borrow(vt_tensor_t tensor);

/// Keeps the message for `vt_last_message`.
vt_status fail(vt_status status, const std::string &message);

/// Runs `body`; turns every exception into a status and a message.
template <typename Body>
vt_status guarded(Body body) {
  try {
    body();
    return VT_OK;
  } catch (const c10::IndexError &e) {
    return fail(VT_INDEX_ERROR, e.what_without_backtrace());
  } catch (const c10::TypeError &e) {
    return fail(VT_TYPE_ERROR, e.what_without_backtrace());
  } catch (const c10::ValueError &e) {
    return fail(VT_VALUE_ERROR, e.what_without_backtrace());
  } catch (const c10::NotImplementedError &e) {
    return fail(VT_NOT_IMPLEMENTED, e.what_without_backtrace());
  } catch (const c10::OutOfMemoryError &e) {
    return fail(VT_OUT_OF_MEMORY, e.what_without_backtrace());
  } catch (const c10::Error &e) {
    const std::string message = e.what_without_backtrace();
    // The CPU allocator reports exhaustion as a plain error.
    const bool exhausted = message.find("DefaultCPUAllocator") != std::string::npos;
    return fail(exhausted ? VT_OUT_OF_MEMORY : VT_ERROR, message);
  } catch (const std::bad_alloc &) {
    return fail(VT_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &e) {
    return fail(VT_ERROR, e.what());
  } catch (...) {
    return fail(VT_ERROR, "unknown C++ exception");
  }
}
