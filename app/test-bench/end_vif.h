/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What both kinds of ends on lib/vif are: how they are opened, asked for their link and closed.
 */
#ifndef END_VIF_H
#define END_VIF_H

#include <vif.h>

#include "bench.h"

struct end_vif { /* first member of each kind's own */
	struct end end;
	struct vif *vif;
};

/* Attaches to the VIF at address with rings of opt->desc messages. size: of the kind's own struct,
 * which is zeroed and begins a cache line. NULL: lib/vif has said why. */
struct end_vif *end_vif_open(const char *address, const struct bench_opt *opt,
			     const struct end_ops *ops, struct vif_conf conf, size_t size);
bool end_vif_link(const struct end *end);
void end_vif_close(struct end *end);

#endif /* END_VIF_H */
