/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Frames with hints (specification 4.8) for a destination that does not take them as they are:
 * complete the checksum, cut TCP data into frames. Runs on a data lcore, part of the data path.
 */
#ifndef VSW_OFFLOAD_H
#define VSW_OFFLOAD_H

#include "vsw_internal.h"

/* Ethernet, VLAN tag, longest IPv4 and TCP headers. */
#define VSW_HDR_MAX (NFE_MIN_FRAME + 4 + 60 + 60)

/* A frame with changed headers: these in private memory, its payload where it was. */
struct vsw_patch {
	struct vsw_frame f;
	struct nfe_hints hints;
	struct vsw_seg seg[NFE_MAX_SEGS + 1];
	uint8_t hdr[VSW_HDR_MAX];
};

struct vsw_cut { /* a frame with flag GSO on its way to become several */
	const struct vsw_frame *f;
	struct nfe_l4 l4;
	uint32_t hdr_len; /* of all headers; each part has them */
	uint32_t at;      /* payload before this byte went into parts */
	uint32_t part;
	uint8_t hdr[VSW_HDR_MAX]; /* read once, then only this copy is looked at */
};

#define vsw_patch_complete VSW_JOIN(vsw_patch_complete, VSW_ISA)
#define vsw_cut_start VSW_JOIN(vsw_cut_start, VSW_ISA)
#define vsw_cut_next VSW_JOIN(vsw_cut_next, VSW_ISA)

/* Both read the guest's memory, and what they make of a frame no longer names all of it. So they ask
 * whether it vanished (rule 14), after they read and before anything of it is delivered. They return 0
 * or the reason of the drop. */

/* The frame f (CSUM_PARTIAL, not GSO) with its checksum complete; it says CSUM_OK. */
enum nfe_stat vsw_patch_complete(struct vsw_patch *p, const struct vsw_frame *f);
/* to_drop_hints: its TCP header makes no sense. */
enum nfe_stat vsw_cut_start(struct vsw_cut *cut, const struct vsw_frame *f);
/* The next part, CSUM_PARTIAL; false: there was none left. */
bool vsw_cut_next(struct vsw_cut *cut, struct vsw_patch *p);

#endif /* VSW_OFFLOAD_H */
