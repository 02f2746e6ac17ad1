# The emulated targets of test-cross, count-instructions and size-table; to be sourced.

cross_targets=(x86_64-haswell x86_64-nehalem aarch64-a76 aarch64-a53 cortex-m4 cortex-m7 cortex-m55 cortex-m0 riscv64 riscv32)

# use_target TARGET: sets
#   library, cpu   the arguments of build-static-library
#   compiler       the C compiler with the flags of the target, platform the C file with its start-up and output, libraries
#   emulator       the command that runs an image
#   emulation      "user" or "system"
#   board_memory   "" for plenty; else images may be refused by the linker
use_target() {
  local host=Tests/CHost board=mps2 machine flags
  cpu='' board_memory='' libraries=() emulation=system
  case $1 in
    host)
      library=$(uname -m)-linux emulation=user
      compiler=(cc)
      platform=$host/platform_linux.c
      emulator=(env)
      ;;
    x86_64-*)
      library=x86_64-linux emulation=user
      compiler=(x86_64-linux-gnu-gcc -static)
      platform=$host/platform_linux.c
      emulator=(qemu-x86_64 -cpu "$(tr '[:lower:]' '[:upper:]' <<< "${1:7:1}")${1:8}")
      ;;
    aarch64-*)
      library=aarch64-linux emulation=user
      compiler=(aarch64-linux-gnu-gcc -static)
      platform=$host/platform_linux.c
      emulator=(qemu-aarch64 -cpu "cortex-${1#aarch64-}")
      ;;
    cortex-m*)
      library=armv7em cpu=$1
      case $1 in
        cortex-m4) machine=mps2-an386 flags="-mfpu=fpv4-sp-d16 -mfloat-abi=hard" ;;
        cortex-m7) machine=mps2-an500 flags="-mfpu=fpv5-d16 -mfloat-abi=hard" ;;
        cortex-m55) machine=mps3-an547 flags="-mfloat-abi=hard" board=mps3 board_memory=512K ;;
        cortex-m0) machine=microbit flags="-mfloat-abi=soft" board=microbit board_memory=16K library=armv6m ;;
        *) return 1 ;;
      esac
      read -ra flags <<< "$flags"
      compiler=(arm-none-eabi-gcc "-mcpu=$1" -mthumb "${flags[@]}" -nostartfiles "-L$host" -T "$board.ld"
        -Wl,--no-warn-rwx-segments -Wl,--no-warn-execstack)
      platform=$host/platform_cortex_m.c
      emulator=(qemu-system-arm -M "$machine" -nographic -monitor none -serial none
        -semihosting-config "enable=on,target=native" -kernel)
      ;;
    riscv64)
      library=riscv64 emulation=user
      compiler=(riscv64-linux-gnu-gcc -static)
      platform=$host/platform_linux.c
      emulator=(qemu-riscv64)
      ;;
    riscv32)
      library=riscv32
      compiler=(riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -ffreestanding -nostdlib "-L$host"
        -T riscv_virt.ld -Wl,--no-warn-rwx-segments)
      libraries=(-lgcc)
      platform=$host/platform_riscv.c
      emulator=(qemu-system-riscv32 -M virt -bios none -nographic -monitor none -serial stdio -kernel)
      ;;
    *) return 1 ;;
  esac
}

# has_target: whether the compiler and the emulator of the target in use are installed.
has_target() { command -v "${compiler[0]}" > /dev/null && command -v "${emulator[0]}" > /dev/null; }

# link_image MODEL_FOLDER LIBRARY_FOLDER OUTPUT FLAG...: image.c with the exported model and its input.npy, expected.npy.
link_image() {
  local model=$1 folder=$2 output=$3
  shift 3
  "${compiler[@]}" -O2 -std=gnu11 -Wall -Wextra -Werror -ffunction-sections -fdata-sections "$@" \
    "-DINPUT0=\"$model/input.npy\"" "-DEXPECTED0=\"$model/expected.npy\"" "-I$folder" "-I$model" -ITests/CHost \
    Tests/CHost/image.c "$platform" "$model/model.c" "$folder/libqkernels.a" "${libraries[@]}" -Wl,--gc-sections \
    -o "$output"
}

# optional_primitives SET LIBRARY: the compiler's flags for the primitives that not every set has.
optional_primitives() {
  nm --defined-only "$2" 2> /dev/null | sed -nE "s/.* T qk_$1_(depthwise3x3|lstm_cell|winograd3x3|dense|convolution)$/-DHAS_\U\1/p"
}

# link_primitives SET LIBRARY_FOLDER OUTPUT: primitives.c for one instruction set.
link_primitives() {
  local optional
  mapfile -t optional < <(optional_primitives "$1" "$2/libqkernels.a")
  "${compiler[@]}" -O2 -std=gnu11 -Wall -Wextra -Werror -ffunction-sections -fdata-sections "-DQK_STATIC_SET=$1" \
    "${optional[@]}" -ITests/CHost -ISources/QKernels/Inner/Intrinsics Tests/CHost/primitives.c "$platform" \
    "$2/libqkernels.a" "${libraries[@]}" -Wl,--gc-sections -o "$3"
}

# make_model QCLI FOLDER INPUT QUANTIZE-ARGUMENTS...: model.qkm, its C export, input.npy and the outputs that the command
# line computes on this machine, expected.npy. An input that is named input_rand.npy or input_real.npy has integers.
make_model() {
  local qcli=$1 folder=$2 input=$3 raw=()
  shift 3
  case $input in */input_rand.npy | */input_real.npy) raw=(--raw) ;; esac
  mkdir -p "$folder"
  cp "$input" "$folder/input.npy"
  "$qcli" quantize "$@" --self-test -o "$folder/model.qkm" &&
    "$qcli" infer "$folder/model.qkm" ${raw[@]+"${raw[@]}"} --input "$folder/input.npy" --output "$folder/expected.npy" &&
    "$qcli" export "$folder/model.qkm" --c "$folder"
}
