/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Choose the kind of endpoint by its prefix, and what both kinds share. */
#include <stdio.h>
#include <string.h>

#include "endpoint.h"

struct endpoint *
endpoint_open(const char *spec, const struct endpoint_conf *conf)
{
	struct endpoint *ep = NULL;

	if (strncmp(spec, "port:", 5) == 0)
		ep = endpoint_ethdev_open(spec + 5, conf);
	else if (strncmp(spec, "vif:", 4) == 0)
		ep = endpoint_vif_open(spec + 4, conf);
	else
		fprintf(stderr, "test-traffic: endpoint \"%s\": expected port:NAME or vif:ADDRESS\n",
			spec);
	if (ep != NULL)
		snprintf(ep->name, sizeof(ep->name), "%s", spec);
	return ep;
}

void
endpoint_link(struct endpoint *ep, int up)
{
	__atomic_store_n(&ep->link_up, (uint32_t)up, __ATOMIC_RELEASE);
	__atomic_fetch_add(&ep->link_changes, 1, __ATOMIC_RELAXED);
}
