/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Who takes frames that are for several ports, or for nobody known: kept up to date here, so that a
 * data lcore need not ask every port. A port whose link is down takes none.
 *
 * There are two sets in memory reserved at the start, so that a change cannot fail. The spare one
 * becomes a copy of the other with one port changed; lcores are given it as a whole, and when none
 * of them looks at the old one any more, that is the spare. Control thread only.
 */
#include <errno.h>
#include <stdlib.h>

#include "vsw_internal.h"

static bool
takes_all_groups(const struct vsw_port *port)
{
	return port->is_uplink || (port->rx_mode & (NFE_RX_ALLMULTI | NFE_RX_PROMISC));
}

static bool
takes_unknown(const struct vsw_port *port)
{
	return port->is_uplink || (port->promisc_allowed && (port->rx_mode & NFE_RX_PROMISC));
}

/* The ports of a list without this one, which is added if it takes such frames. */
static void
list_update(struct vsw_list *to, const struct vsw_list *from, struct vsw_port *port, bool takes)
{
	to->n = 0;
	for (unsigned int i = 0; i < from->n; i++)
		if (from->port[i] != port)
			to->port[to->n++] = from->port[i];
	if (takes)
		to->port[to->n++] = port;
}

/* Group addresses in a port's filter, in ascending order. */
static unsigned int
groups_of(const struct vsw_port *port, uint64_t *mac)
{
	unsigned int n = 0, at;

	for (unsigned int i = 0; i < VSW_MAX_MACS; i++) {
		if (!vsw_mac_is_group(port->macs[i]))
			continue;
		for (at = n++; at > 0 && mac[at - 1] > port->macs[i]; at--)
			mac[at] = mac[at - 1];
		mac[at] = port->macs[i];
	}
	return n;
}

/* Both are sorted by address: merged in one pass. */
static void
members_update(struct vsw_takers *to, const struct vsw_takers *from, struct vsw_port *port,
	       bool takes)
{
	uint64_t mac[VSW_MAX_MACS];
	unsigned int n = takes ? groups_of(port, mac) : 0, own = 0;

	to->nb_members = 0;
	for (unsigned int i = 0; i < from->nb_members; i++) {
		while (own < n && mac[own] <= from->member[i].mac)
			to->member[to->nb_members++] = (struct vsw_member){ mac[own++], port };
		if (from->member[i].port != port)
			to->member[to->nb_members++] = from->member[i];
	}
	while (own < n)
		to->member[to->nb_members++] = (struct vsw_member){ mac[own++], port };
}

void
vsw_takers_update(struct vsw_port *port)
{
	struct vsw *sw = port->sw;
	struct vsw_takers *old = sw->takers, *to = &sw->takers_of[old == &sw->takers_of[0]];
	bool up = port->is_uplink || port->rx != NULL, all = up && takes_all_groups(port);

	if (!up && !port->takes) /* it is in no list, and won't be */
		return;
	port->takes = up;
	list_update(&to->broadcast, &old->broadcast, port, up);
	list_update(&to->groups, &old->groups, port, all);
	list_update(&to->unknown, &old->unknown, port, up && takes_unknown(port));
	members_update(to, old, port, up && !all);
	__atomic_store_n(&sw->takers, to, __ATOMIC_RELEASE);
	vsw_synchronize(sw);
}

int
vsw_takers_init(struct vsw *sw)
{
	unsigned int ports = sw->conf.max_ports;

	for (unsigned int i = 0; i < RTE_DIM(sw->takers_of); i++) {
		struct vsw_takers *t = &sw->takers_of[i];

		/* What no port fills is never touched, so it costs no memory. */
		t->broadcast.port = calloc(ports, sizeof(struct vsw_port *));
		t->groups.port = calloc(ports, sizeof(struct vsw_port *));
		t->unknown.port = calloc(ports, sizeof(struct vsw_port *));
		t->member = calloc((size_t)ports * VSW_MAX_MACS, sizeof(*t->member));
		if (t->broadcast.port == NULL || t->groups.port == NULL ||
		    t->unknown.port == NULL || t->member == NULL)
			return -ENOMEM;
	}
	sw->takers = &sw->takers_of[0];
	return 0;
}

void
vsw_takers_fini(struct vsw *sw)
{
	for (unsigned int i = 0; i < RTE_DIM(sw->takers_of); i++) {
		free(sw->takers_of[i].broadcast.port);
		free(sw->takers_of[i].groups.port);
		free(sw->takers_of[i].unknown.port);
		free(sw->takers_of[i].member);
	}
}
