/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shapes of tiles.  tile_amx.h or tile_soft.h has the operations.
 */
#ifndef CPU_TILE_H
#define CPU_TILE_H

#include <stdint.h>

#define TILE_ROWS	16	/* of a register, at most */
#define TILE_BYTES	64	/* of a row, at most */

/* The operand of LDTILECFG. */
struct tile_config {
	uint8_t		 palette;	/* 1 */
	uint8_t		 start;		/* 0 */
	uint8_t		 reserved[14];
	uint16_t	 bytes[16];	/* of a row */
	uint8_t		 rows[16];
};

#endif
