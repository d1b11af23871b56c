/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

#include <stdio.h>
#include <stdlib.h>

#include "end_vif.h"

struct end_vif *
end_vif_open(const char *address, const struct bench_opt *opt, const struct end_ops *ops,
	     struct vif_conf conf, size_t size)
{
	struct end_vif *e;

	size = RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE);
	e = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (e == NULL)
		return NULL;
	memset(e, 0, size);
	conf.name = "test-bench";
	conf.ring_size = opt->desc;
	e->vif = vif_attach(address, &conf);
	if (e->vif == NULL) {
		free(e);
		return NULL;
	}
	e->end.ops = ops;
	e->end.opt = opt;
	snprintf(e->end.name, sizeof(e->end.name), "%s", address);
	vif_mac(e->vif, e->end.mac);
	return e;
}

bool
end_vif_link(const struct end *end)
{
	return vif_link(((const struct end_vif *)end)->vif);
}

void
end_vif_close(struct end *end)
{
	struct end_vif *e = (struct end_vif *)end;

	vif_detach(e->vif);
	free(e);
}
