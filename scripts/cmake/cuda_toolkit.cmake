# Owns how MOELAB_CUDA=ON finds the CUDA toolkit: one installed on the system, or the nvcc wheels in .venv
# (scripts/install.sh --cuda-toolkit). CMake 3.25's own FindCUDAToolkit stops at CUDA 13, which has no nvToolsExt.
find_program(MOELAB_NVCC nvcc HINTS ${CUDAToolkit_ROOT}/bin /usr/local/cuda/bin ${cuda_root}/bin)
if(NOT MOELAB_NVCC)
  message(FATAL_ERROR "MOELAB_CUDA=ON needs the CUDA toolkit. Install it, or run scripts/install.sh --cuda-toolkit.")
endif()
execute_process(COMMAND ${MOELAB_NVCC} --version OUTPUT_VARIABLE nvcc_version COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCH "release [0-9.]+" nvcc_version "${nvcc_version}")
cmake_path(GET MOELAB_NVCC PARENT_PATH toolkit)
cmake_path(GET toolkit PARENT_PATH toolkit)
find_path(MOELAB_CUDA_INCLUDE cuda_runtime_api.h REQUIRED HINTS ${toolkit}/include ${toolkit}/targets/x86_64-linux/include)
message(STATUS "CUDA toolkit: ${toolkit} (${nvcc_version})")
target_include_directories(moelab_libtorch SYSTEM INTERFACE ${MOELAB_CUDA_INCLUDE})
# cuBLAS, cuDNN and NCCL arrive with the whole torch wheel; a machine without a driver lacks them and can only link.
target_link_options(moelab_libtorch INTERFACE -Wl,--allow-shlib-undefined)
