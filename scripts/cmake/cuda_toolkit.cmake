# Owns how MOELAB_CUDA=ON finds the CUDA toolkit: one installed on the system, or the nvcc wheels in .venv
# (scripts/install.sh --cuda-toolkit). The headers and libraries are used by the worker; nvcc is checked to work.
find_program(nvcc nvcc HINTS ${CUDAToolkit_ROOT}/bin /usr/local/cuda/bin ${cuda_root}/bin)
if(NOT nvcc)
  message(FATAL_ERROR "MOELAB_CUDA=ON needs the CUDA toolkit. Install it, or run scripts/install.sh --cuda-toolkit.")
endif()
cmake_path(GET nvcc PARENT_PATH nvcc_dir)
cmake_path(GET nvcc_dir PARENT_PATH CUDAToolkit_ROOT)
set(CMAKE_CUDA_COMPILER ${nvcc} CACHE FILEPATH "")
find_package(CUDAToolkit REQUIRED)
message(STATUS "CUDA toolkit: ${CUDAToolkit_VERSION} (${CUDAToolkit_ROOT})")
target_include_directories(moelab_libtorch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
# cuBLAS, cuDNN and NCCL arrive with the whole torch wheel; a machine without a driver lacks them and can only link.
target_link_options(moelab_libtorch INTERFACE -Wl,--allow-shlib-undefined)
