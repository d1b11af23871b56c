/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Counters. Each data lcore counts in an array of its own; a reader asks it for a copy, which it
 * makes between two turns. What one lcore counted for a frame at its source and at its
 * destinations is therefore always complete, and sums over lcores keep the identities
 * (specification 9.2).
 */
#include <errno.h>
#include <stdlib.h>

#include "vsw_internal.h"

static int
stats_range(struct vsw *sw, unsigned int first, unsigned int n, uint64_t (*value)[NFE_STAT_MAX])
{
	uint64_t(*copy)[NFE_STAT_MAX] = calloc(n, sizeof(*copy));

	if (copy == NULL)
		return -ENOMEM;
	memset(value, 0, n * sizeof(*value));
	for (unsigned int l = 0; l < sw->nb_lcores; l++) {
		struct vsw_mail m = { .op = VSW_OP_COUNTERS, .first = first, .n = n, .copy = copy };

		vsw_mail_send(sw->lcore[l], &m);
		for (unsigned int i = 0; i < n; i++)
			for (unsigned int s = 0; s < NFE_STAT_MAX; s++)
				value[i][s] += copy[i][s];
	}
	free(copy);
	return (int)n;
}

int
vsw_stats(struct vsw *sw, uint64_t (*value)[NFE_STAT_MAX], unsigned int max)
{
	return stats_range(sw, 0, RTE_MIN(max, sw->nb_ports), value);
}

int
vsw_port_stats(struct vsw_port *port, uint64_t value[NFE_STAT_MAX])
{
	int rc = stats_range(port->sw, port->id, 1, (uint64_t(*)[NFE_STAT_MAX])value);

	return rc < 0 ? rc : 0;
}
