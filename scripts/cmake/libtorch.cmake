# Owns how the worker finds LibTorch. Order: a LibTorch the user names (Torch_DIR or CMAKE_PREFIX_PATH), then the PyPI
# wheel in .venv. The wheel's own TorchConfig.cmake insists on a CUDA toolkit even for CPU use, so the wheel is linked
# through an imported target of ours; with MOELAB_CUDA=ON the toolkit is found and the CUDA libraries are linked too.
# Result: moelab::libtorch.
add_library(moelab_libtorch INTERFACE)
add_library(moelab::libtorch ALIAS moelab_libtorch)

# at::parallel_for is a header template over OpenMP: without the flag in our own objects it would run on one thread.
# Flags instead of the imported target, which names the compiler's libgomp by path: at run time the wheel's own comes first.
find_package(OpenMP REQUIRED COMPONENTS CXX)
target_compile_options(moelab_libtorch INTERFACE ${OpenMP_CXX_FLAGS})
target_link_options(moelab_libtorch INTERFACE ${OpenMP_CXX_FLAGS})

# A system header may warn as it likes; ours may not.
function(moelab_use_torch include_dirs libraries)
  target_include_directories(moelab_libtorch SYSTEM INTERFACE ${include_dirs})
  target_link_libraries(moelab_libtorch INTERFACE ${libraries})
endfunction()

if(Torch_DIR OR CMAKE_PREFIX_PATH)
  find_package(Torch QUIET)
endif()

if(Torch_FOUND)
  message(STATUS "LibTorch: ${TORCH_INSTALL_PREFIX} (yours)")
  moelab_use_torch("${TORCH_INCLUDE_DIRS}" "${TORCH_LIBRARIES}")
  target_compile_options(moelab_libtorch INTERFACE ${TORCH_CXX_FLAGS})
else()
  set(MOELAB_VENV ${PROJECT_SOURCE_DIR}/.venv CACHE PATH "Virtual environment that holds the torch wheel")
  file(GLOB torch_root ${MOELAB_VENV}/lib/python3*/site-packages/torch)
  file(GLOB cuda_root ${MOELAB_VENV}/lib/python3*/site-packages/nvidia/cu13)
  if(NOT torch_root OR NOT cuda_root)
    message(FATAL_ERROR "LibTorch not found. Run scripts/install.sh, or name your own with -DTorch_DIR=DIR/share/cmake/Torch.")
  endif()
  message(STATUS "LibTorch: ${torch_root} (PyPI wheel)")
  set(libraries ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so)
  if(MOELAB_CUDA)
    include(${CMAKE_CURRENT_LIST_DIR}/cuda_toolkit.cmake)
    list(APPEND libraries ${torch_root}/lib/libtorch_cuda.so ${torch_root}/lib/libc10_cuda.so)
    # libtorch_cuda.so registers its kernels when loaded; nothing in our code refers to it by symbol.
    target_link_options(moelab_libtorch INTERFACE -Wl,--no-as-needed)
  endif()
  moelab_use_torch("${torch_root}/include;${torch_root}/include/torch/csrc/api/include" "${libraries}")
  # libtorch_cpu.so needs libcudart and libcupti at load time, on a CPU machine too.
  target_link_options(moelab_libtorch INTERFACE
    -Wl,-rpath,${torch_root}/lib -Wl,-rpath,${cuda_root}/lib -Wl,-rpath-link,${cuda_root}/lib)
endif()
