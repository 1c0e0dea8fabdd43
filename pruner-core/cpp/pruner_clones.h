// Loops that are compiled for several kinds of CPU; which of them runs is chosen when the program starts. All give the same
// to the last bit: none may use what rounds otherwise, as fused multiply-add does.
#pragma once

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define PA_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define PA_CLONES
#endif
