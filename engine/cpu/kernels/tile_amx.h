/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles of the processor (AMX).  The operations are those of tile_soft.h, which
 * says what they do.  A register is a literal number from 0 to 7 in the call.
 * These are assembler, because the compilers' intrinsics do not declare which
 * memory they read.
 */
#ifndef CPU_TILE_AMX_H
#define CPU_TILE_AMX_H

#include <stdint.h>

#include "tile.h"

#define tile_configure(c)						\
	__asm__ volatile("ldtilecfg %0" : : "m"(*(c)))
#define tile_release()							\
	__asm__ volatile("tilerelease")
#define tile_zero(t)							\
	__asm__ volatile("tilezero %%tmm" #t : :)
#define tile_load(t, from, stride)					\
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : :		\
	    "r"(from), "r"((uint64_t)(stride)) : "memory")
#define tile_store(t, to, stride)					\
	__asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : :	\
	    "r"(to), "r"((uint64_t)(stride)) : "memory")
#define tile_dot_bf16(c, a, b)						\
	__asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define tile_dot_su8(c, a, b)						\
	__asm__ volatile("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define tile_dot_ss8(c, a, b)						\
	__asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

#endif
