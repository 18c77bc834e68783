"""IR program -> machine code, through LLVM: BPF for the kernel, native code for user space."""
