/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Finds the bus that an address names: "vfio-user:PATH". Called by nfeh_attach() on the attaching
 * thread. The table is written by nfe_bus_register() before the first attach, then only read.
 */
#include <errno.h>
#include <string.h>

#include "nfe_bus.h"

#define MAX_BUSES 4

static const struct nfe_bus_ops *buses[MAX_BUSES] = { &nfe_bus_vfio_user };

int
nfe_bus_register(const struct nfe_bus_ops *ops)
{
	for (unsigned int i = 0; i < MAX_BUSES; i++) {
		if (buses[i] == ops)
			return 0;
		if (buses[i] == NULL) {
			buses[i] = ops;
			return 0;
		}
	}
	return -ENOSPC;
}

int
nfe_bus_create(const char *address, struct nfe_bus **bus)
{
	const char *colon = strchr(address, ':');
	size_t len;

	if (colon == NULL)
		return -EINVAL;
	len = (size_t)(colon - address);
	for (unsigned int i = 0; i < MAX_BUSES && buses[i] != NULL; i++)
		if (strlen(buses[i]->name) == len && memcmp(buses[i]->name, address, len) == 0)
			return buses[i]->create(colon + 1, bus);
	return -EINVAL;
}
