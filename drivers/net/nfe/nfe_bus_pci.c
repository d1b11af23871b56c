/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Bus of PCI functions, see nfe_bus.h. EAL has mapped the BARs and owns the device; the bus lives
 * from probe to close. Called by the host end with its lock; kick() and doorbell stores come from
 * data threads.
 *
 * Doorbells are MMIO: nfe_idx_publish() is one 32-bit store, which is all that a BAR takes (1.4).
 * Its release order holds against earlier stores to memory, because x86 keeps the order of stores
 * also into uncached space. In a VM the store lands in the device's memory without a trap. A kick
 * is a trapped store to BAR2: in QEMU it returns when the device has taken it.
 *
 * A function that is reset or unplugged tells nobody: the host end reads GENERATION now and then.
 * A function that is gone reads as all ones, or EAL's hot-unplug handler has put zeroes there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bus_pci_driver.h>
#include <rte_bus_pci.h>
#include <rte_errno.h>
#include <rte_interrupts.h>
#include <rte_io.h>
#include <rte_memzone.h>

#include <nfe_bus.h>
#include <nfe_regs.h>

#include "nfe_bus_pci.h"
#include "nfe_logs.h"

#define GONE UINT32_MAX

struct pci_bus {
	struct nfe_bus bus;
	struct rte_pci_device *pci;
	uint8_t *regs, *trig; /* BAR0, BAR2 */
	uint32_t trig_stride_log2;
	unsigned int nb_mem; /* for names of memory zones */
};

static const struct nfe_bus_ops pci_bus_ops;
static __thread struct rte_pci_device *probing;

static struct pci_bus *
to_pci(struct nfe_bus *bus)
{
	return (struct pci_bus *)(void *)bus;
}

static int __rte_format_printf(3, 4)
fail(struct pci_bus *pb, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(pb->bus.why, sizeof(pb->bus.why), fmt, ap);
	va_end(ap);
	return rc;
}

void
nfe_bus_pci_address(struct rte_pci_device *pci, char *address, size_t size)
{
	probing = pci;
	snprintf(address, size, "%s:%s", pci_bus_ops.name, pci->name);
}

static int
pb_create(const char *address, struct nfe_bus **out)
{
	struct pci_bus *pb;

	if (probing == NULL || strcmp(probing->name, address) != 0)
		return -ENODEV;
	pb = calloc(1, sizeof(*pb));
	if (pb == NULL)
		return -ENOMEM;
	pb->bus.ops = &pci_bus_ops;
	pb->pci = probing;
	pb->regs = probing->mem_resource[NFE_BAR_REGS].addr;
	pb->trig = probing->mem_resource[NFE_BAR_TRIGGER].addr;
	*out = &pb->bus;
	return 0;
}

static void
pb_destroy(struct nfe_bus *bus)
{
	struct pci_bus *pb = to_pci(bus);

	if (bus->nb_vectors > 0) {
		rte_intr_disable(pb->pci->intr_handle);
		rte_intr_efd_disable(pb->pci->intr_handle);
	}
	free(pb);
}

/* All ones may be a value; MAGIC cannot be. */
static int
pb_reg_read(struct nfe_bus *bus, uint32_t reg, uint32_t *value)
{
	const struct pci_bus *pb = to_pci(bus);

	*value = rte_read32(pb->regs + reg);
	return *value == GONE && rte_read32(pb->regs + NFE_REG_MAGIC) == GONE ? -ENODEV : 0;
}

static int
pb_reg_write(struct nfe_bus *bus, uint32_t reg, uint32_t value)
{
	rte_write32(value, to_pci(bus)->regs + reg);
	return 0;
}

static int
check_bar(struct pci_bus *pb, unsigned int bar, uint64_t need)
{
	const struct rte_mem_resource *res = &pb->pci->mem_resource[bar];

	if (res->addr != NULL && res->len >= need)
		return 0;
	return fail(pb, -EPROTO, "BAR%u has %" PRIu64 " bytes, its pages need %" PRIu64, bar,
		    res->addr != NULL ? res->len : 0, need);
}

/* The bounds that make every later address safe (rule 16). */
static int
check_geometry(struct pci_bus *pb, const struct nfe_bus_geometry *g)
{
	uint64_t pages = (uint64_t)g->max_channels + 1;
	int rc;

	if (g->max_channels == 0 || g->db_stride_log2 > NFE_BUS_MAX_STRIDE_LOG2 ||
	    g->trig_stride_log2 > NFE_BUS_MAX_STRIDE_LOG2 || g->db_stride_log2 < 9 ||
	    g->trig_stride_log2 < 2 || g->db_offset % 4 != 0)
		return fail(pb, -EPROTO, "%u channels, doorbells at 0x%x, strides 2^%u and 2^%u",
			    g->max_channels, g->db_offset, g->db_stride_log2, g->trig_stride_log2);
	rc = check_bar(pb, NFE_BAR_REGS, g->db_offset + (pages << g->db_stride_log2));
	if (rc == 0)
		rc = check_bar(pb, NFE_BAR_TRIGGER, pages << g->trig_stride_log2);
	if (rc == 0 && pb->bus.db != NULL &&
	    (pb->bus.db != pb->regs + g->db_offset || pages < pb->bus.nb_db ||
	     pb->bus.db_stride != 1u << g->db_stride_log2 ||
	     pb->trig_stride_log2 != g->trig_stride_log2))
		return fail(pb, -EPROTO, "the doorbell pages moved");
	return rc;
}

/* Vector 0 by the eventfd of EAL's handle, the others by those that it makes for queues. Without
 * MSI-X by vfio-pci there are none. Best effort: polling always works. */
static void
enable_vectors(struct pci_bus *pb, uint32_t vectors)
{
	struct rte_intr_handle *intr = pb->pci->intr_handle;
	int have = rte_intr_nb_intr_get(intr);

	if (rte_intr_type_get(intr) != RTE_INTR_HANDLE_VFIO_MSIX || vectors == 0 || have <= 0)
		return;
	vectors = RTE_MIN(vectors, (uint32_t)have);
	vectors = RTE_MIN(vectors, (uint32_t)RTE_MAX_RXTX_INTR_VEC_ID);
	if (vectors > 1 && rte_intr_efd_enable(intr, vectors - 1) != 0)
		return;
	if (rte_intr_enable(intr) != 0) {
		NFE_LOG(WARNING, "%s: %u interrupts cannot be enabled", pb->pci->name, vectors);
		rte_intr_efd_disable(intr);
		return;
	}
	pb->bus.nb_vectors = vectors;
}

/* Again after a reset: the kernel has restored what was configured, but nobody knows the master. */
static int
pb_connect(struct nfe_bus *bus, unsigned int timeout_ms)
{
	struct pci_bus *pb = to_pci(bus);
	struct nfe_bus_geometry g = { 0 };
	int rc;

	(void)timeout_ms; /* a register answers or is gone */
	bus->why[0] = '\0';
	if (pb->regs == NULL)
		return fail(pb, -ENODEV, "BAR0 is not mapped; bind it to vfio-pci or "
			    "uio_pci_generic");
	rc = nfe_bus_read_geometry(bus, &g);
	if (rc == 0)
		rc = check_geometry(pb, &g);
	if (rc < 0)
		return rc;
	if (rte_pci_set_bus_master(pb->pci, true) < 0)
		return fail(pb, -EIO, "enabling the bus master");
	if (bus->db != NULL)
		return 0;
	bus->db = pb->regs + g.db_offset;
	bus->db_stride = 1u << g.db_stride_log2;
	bus->nb_db = g.max_channels + 1;
	pb->trig_stride_log2 = g.trig_stride_log2;
	enable_vectors(pb, g.vectors);
	return 0;
}

/* The function was reset before, if it is there: it uses nothing of ours any more. */
static void
pb_disconnect(struct nfe_bus *bus)
{
	(void)bus;
}

static int
pb_hup_fd(struct nfe_bus *bus)
{
	(void)bus;
	return -1;
}

static int
pb_mem_alloc(struct nfe_bus *bus, size_t len, struct nfe_bus_mem *mem)
{
	struct pci_bus *pb = to_pci(bus);
	char name[RTE_MEMZONE_NAMESIZE];
	const struct rte_memzone *mz;

	snprintf(name, sizeof(name), "nfe_%s_%u", pb->pci->name, pb->nb_mem++);
	mz = rte_memzone_reserve_aligned(name, len, pb->pci->device.numa_node,
					 RTE_MEMZONE_IOVA_CONTIG, NFE_PAGE_SIZE);
	if (mz == NULL)
		return -rte_errno;
	if (mz->iova == RTE_BAD_IOVA) {
		rte_memzone_free(mz);
		return -EFAULT;
	}
	memset(mz->addr, 0, len);
	*mem = (struct nfe_bus_mem){
		.addr = mz->addr, .len = len, .iova = mz->iova, .fd = -1,
		.handle = (void *)(uintptr_t)mz,
	};
	return 0;
}

static void
pb_mem_free(struct nfe_bus *bus, struct nfe_bus_mem *mem)
{
	(void)bus;
	rte_memzone_free(mem->handle);
}

/* EAL's memory is mapped for its devices already, where there is an IOMMU. */
static int
pb_mem_map(struct nfe_bus *bus, uint64_t iova, void *addr, size_t len, int fd, uint64_t fd_offset)
{
	(void)bus;
	(void)addr;
	(void)len;
	(void)fd;
	(void)fd_offset;
	return iova == RTE_BAD_IOVA ? -EFAULT : 0;
}

static int
pb_mem_unmap(struct nfe_bus *bus, uint64_t iova, size_t len)
{
	(void)bus;
	(void)iova;
	(void)len;
	return 0;
}

static int
pb_irq_fd(struct nfe_bus *bus, unsigned int vector)
{
	const struct rte_intr_handle *intr = to_pci(bus)->pci->intr_handle;

	if (vector >= bus->nb_vectors)
		return -1;
	return vector == 0 ? rte_intr_fd_get(intr) :
			     rte_intr_efds_index_get(intr, (int)vector - 1);
}

static void
pb_kick(struct nfe_bus *bus, unsigned int channel)
{
	const struct pci_bus *pb = to_pci(bus);

	if (channel < bus->nb_db)
		rte_write32(1, pb->trig + ((size_t)channel << pb->trig_stride_log2) +
				       NFE_TRIG_KICK);
}

/* A read cannot be merged or dropped on its way, so its answer is about this very ring. */
static int
pb_ring(struct nfe_bus *bus, unsigned int channel)
{
	const struct pci_bus *pb = to_pci(bus);
	uint32_t answer;

	if (channel >= bus->nb_db)
		return NFE_TRIGGER_NONE;
	answer = rte_read32(pb->trig + ((size_t)channel << pb->trig_stride_log2) +
			    NFE_TRIG_AT(NFE_TRIG_LOOK));
	return answer == GONE ? -ENODEV : (int)answer;
}

static const struct nfe_bus_ops pci_bus_ops = {
	.name = "pci",
	.create = pb_create,
	.destroy = pb_destroy,
	.connect = pb_connect,
	.disconnect = pb_disconnect,
	.hup_fd = pb_hup_fd,
	.reg_read = pb_reg_read,
	.reg_write = pb_reg_write,
	.mem_alloc = pb_mem_alloc,
	.mem_free = pb_mem_free,
	.mem_map = pb_mem_map,
	.mem_unmap = pb_mem_unmap,
	.irq_fd = pb_irq_fd,
	.kick = pb_kick,
	.ring = pb_ring,
};

RTE_INIT(nfe_bus_pci_register)
{
	nfe_bus_register(&pci_bus_ops);
}
