/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Finds the bus that an address names: "vfio-user:PATH" or "xen:N", and memory for buses that take
 * any. Called by nfeh_attach() on the attaching thread. The table is written by nfe_bus_register() before the
 * first attach, then only read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nfe_regs.h>

#include "nfe_bus.h"

#define MAX_BUSES 4

static const struct nfe_bus_ops *buses[MAX_BUSES] = { &nfe_bus_vfio_user, &nfe_bus_xen };

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

static const struct nfe_bus_ops *
find_bus(const char *address)
{
	size_t len = strcspn(address, ":");

	for (unsigned int i = 0; address[len] == ':' && i < MAX_BUSES && buses[i] != NULL; i++)
		if (strlen(buses[i]->name) == len && memcmp(buses[i]->name, address, len) == 0)
			return buses[i];
	return NULL;
}

int
nfe_bus_create(const char *address, struct nfe_bus **bus)
{
	const struct nfe_bus_ops *ops = find_bus(address);

	return ops != NULL ? ops->create(strchr(address, ':') + 1, bus) : -EINVAL;
}

bool
nfe_bus_own_memory(const char *address)
{
	const struct nfe_bus_ops *ops = find_bus(address);

	return ops != NULL && ops->own_memory;
}

bool
nfe_bus_takes_physical(const char *address, uint64_t *iova_base)
{
	const struct nfe_bus_ops *ops = find_bus(address);

	return ops != NULL && ops->takes_physical != NULL &&
	       ops->takes_physical(strchr(address, ':') + 1, iova_base);
}

int
nfe_bus_read_geometry(struct nfe_bus *bus, struct nfe_bus_geometry *g)
{
	const struct {
		uint32_t reg;
		uint32_t *value;
	} regs[] = {
		{ NFE_REG_DB_OFFSET, &g->db_offset },
		{ NFE_REG_DB_STRIDE_LOG2, &g->db_stride_log2 },
		{ NFE_REG_TRIG_STRIDE_LOG2, &g->trig_stride_log2 },
		{ NFE_REG_MAX_CHANNELS, &g->max_channels },
		{ NFE_REG_VECTORS, &g->vectors },
	};
	uint32_t magic = 0;
	int rc = bus->ops->reg_read(bus, NFE_REG_MAGIC, &magic);

	if (rc == 0 && magic != NFE_MAGIC) {
		snprintf(bus->why, sizeof(bus->why), "MAGIC 0x%08x, expected 0x%08x", magic, NFE_MAGIC);
		return -ENODEV;
	}
	for (unsigned int i = 0; i < sizeof(regs) / sizeof(regs[0]) && rc == 0; i++)
		rc = bus->ops->reg_read(bus, regs[i].reg, regs[i].value);
	if (rc < 0)
		snprintf(bus->why, sizeof(bus->why), "registers do not answer");
	return rc;
}

int
nfe_bus_mem_alloc(struct nfe_bus *bus, size_t len, struct nfe_bus_mem *mem)
{
	int rc;

	if (bus->ops->mem_alloc != NULL)
		return bus->ops->mem_alloc(bus, len, mem);
	*mem = (struct nfe_bus_mem){ .len = len };
	mem->fd = memfd_create("nfe-mem", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (mem->fd < 0)
		return -errno;
	if (ftruncate(mem->fd, (off_t)len) < 0 ||
	    fcntl(mem->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		goto close_fd;
	/* Populated: the first burst shall not fault its buffers in. */
	mem->addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, mem->fd, 0);
	if (mem->addr == MAP_FAILED)
		goto close_fd;
	mem->iova = (uintptr_t)mem->addr;
	return 0;
close_fd:
	rc = -errno;
	close(mem->fd);
	return rc;
}

void
nfe_bus_mem_free(struct nfe_bus *bus, struct nfe_bus_mem *mem)
{
	if (bus->ops->mem_free != NULL) {
		bus->ops->mem_free(bus, mem);
		return;
	}
	munmap(mem->addr, mem->len);
	close(mem->fd);
}

void
nfe_bus_irq_clear(struct nfe_bus *bus, unsigned int vector)
{
	uint64_t count;
	int fd;

	if (bus->ops->irq_clear != NULL) {
		bus->ops->irq_clear(bus, vector);
		return;
	}
	fd = bus->ops->irq_fd(bus, vector);
	if (fd >= 0 && read(fd, &count, sizeof(count)) < 0)
		return; /* EAGAIN: it is clear */
}

void
nfe_bus_irq_raise(struct nfe_bus *bus, unsigned int vector)
{
	const uint64_t one = 1;
	int fd;

	if (bus->ops->irq_raise != NULL) {
		bus->ops->irq_raise(bus, vector);
		return;
	}
	fd = bus->ops->irq_fd(bus, vector);
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: it is raised */
}
