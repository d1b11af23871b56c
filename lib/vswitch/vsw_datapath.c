/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Entry points of the data path for one instruction set; see vsw_datapath.h. */
#include "vsw_datapath.h"

#define VSW_STRING_(isa) #isa
#define VSW_STRING(isa) VSW_STRING_(isa)

const struct vsw_datapath VSW_JOIN(vsw_datapath, VSW_ISA) = {
	.isa = VSW_STRING(VSW_ISA),
	.chan_poll = vsw_chan_poll,
	.uplink_poll = vsw_uplink_poll,
};
