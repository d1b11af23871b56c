/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * PCI configuration space, see nfed_config.h. Called by the vfio-user attachment on the control
 * thread, which owns the struct.
 *
 * Each byte has a mask of the bits that the host may write; all of these are 0 after a reset. What
 * PCI Express has beyond that, a bit that acts and reads as 0, is FLR alone.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include <nfe_regs.h>

#include "nfed_config.h"

#define PCIE_V2 2u
#define PCIE_TYPE_ENDPOINT (PCI_EXP_TYPE_ENDPOINT << 4)
#define PCIE_ROLE_BASED_ERRORS (1u << 15) /* mandatory since PCI Express 1.1 */
#define PCIE_GEN1_X1 0x0011u	       /* 2.5 GT/s, one lane: it means nothing here */
#define FLR_BYTE (NFED_CONFIG_PCIE + PCI_EXP_DEVCTL + 1)
#define FLR_BIT (PCI_EXP_DEVCTL_BCR_FLR >> 8)

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

static void
init_header(struct nfed_config *cfg)
{
	uint8_t *b = cfg->bytes, *mask = cfg->mask;

	put16(b + PCI_VENDOR_ID, NFE_PCI_VENDOR);
	put16(b + PCI_DEVICE_ID, NFE_PCI_DEVICE);
	put16(b + PCI_SUBSYSTEM_VENDOR_ID, NFE_PCI_SUBVENDOR);
	put16(b + PCI_SUBSYSTEM_ID, NFE_PCI_SUBDEVICE);
	put16(b + PCI_STATUS, PCI_STATUS_CAP_LIST);
	b[PCI_CLASS_DEVICE + 1] = 0x02; /* network controller, Ethernet */
	b[PCI_CAPABILITY_LIST] = NFED_CONFIG_PCIE;
	put16(mask + PCI_COMMAND,
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
	      PCI_COMMAND_INTX_DISABLE);
	mask[PCI_CACHE_LINE_SIZE] = 0xff;
	mask[PCI_INTERRUPT_LINE] = 0xff;
}

static void
init_bars(struct nfed_config *cfg, const uint64_t bar_size[NFED_CONFIG_BARS])
{
	for (unsigned int i = 0; i < NFED_CONFIG_BARS; i += 2) {
		unsigned int at = PCI_BASE_ADDRESS_0 + 4 * i;

		if (bar_size[i] == 0)
			continue;
		cfg->bytes[at] = PCI_BASE_ADDRESS_MEM_TYPE_64;
		put32(cfg->mask + at, ~((uint32_t)bar_size[i] - 1));
		put32(cfg->mask + at + 4, UINT32_MAX);
	}
}

/* Error reporting may be enabled and stays silent: we detect no error of the link. */
static void
init_pcie(struct nfed_config *cfg)
{
	uint8_t *cap = cfg->bytes + NFED_CONFIG_PCIE, *mask = cfg->mask + NFED_CONFIG_PCIE;

	cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_EXP;
	put16(cap + PCI_EXP_FLAGS, PCIE_V2 | PCIE_TYPE_ENDPOINT);
	put32(cap + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_FLR | PCIE_ROLE_BASED_ERRORS);
	put16(mask + PCI_EXP_DEVCTL,
	      PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE |
	      PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN |
	      PCI_EXP_DEVCTL_READRQ);
	put32(cap + PCI_EXP_LNKCAP, PCIE_GEN1_X1);
	put16(cap + PCI_EXP_LNKSTA, PCIE_GEN1_X1);
	put16(mask + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_CCC);
}

static void
init_msix(struct nfed_config *cfg, unsigned int vectors)
{
	uint8_t *cap = cfg->bytes + NFED_CONFIG_MSIX;

	cfg->bytes[NFED_CONFIG_PCIE + PCI_CAP_LIST_NEXT] = NFED_CONFIG_MSIX;
	cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_MSIX;
	put16(cap + PCI_MSIX_FLAGS, vectors - 1);
	put32(cap + PCI_MSIX_TABLE, NFE_BAR_MSIX);
	put32(cap + PCI_MSIX_PBA, NFED_MSIX_PBA | NFE_BAR_MSIX);
	put16(cfg->mask + NFED_CONFIG_MSIX + PCI_MSIX_FLAGS,
	      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

void
nfed_config_init(struct nfed_config *cfg, const uint64_t bar_size[NFED_CONFIG_BARS],
		 unsigned int vectors)
{
	memset(cfg, 0, sizeof(*cfg));
	init_header(cfg);
	init_bars(cfg, bar_size);
	init_pcie(cfg);
	if (vectors > 0)
		init_msix(cfg, vectors);
}

void
nfed_config_reset(struct nfed_config *cfg)
{
	for (unsigned int i = 0; i < sizeof(cfg->bytes); i++)
		cfg->bytes[i] &= (uint8_t)~cfg->mask[i];
}

void
nfed_config_read(const struct nfed_config *cfg, uint64_t off, void *buf, uint32_t count)
{
	uint64_t n = off < sizeof(cfg->bytes) ? sizeof(cfg->bytes) - off : 0;

	memset(buf, 0, count);
	if (n > 0)
		memcpy(buf, cfg->bytes + off, n < count ? n : count);
}

unsigned int
nfed_config_write(struct nfed_config *cfg, uint64_t off, const void *buf, uint32_t count)
{
	bool master = nfed_config_bus_master(cfg);
	const uint8_t *src = buf;
	unsigned int actions = 0;

	for (uint32_t i = 0; i < count && off < sizeof(cfg->bytes) - i; i++) {
		uint8_t *b = &cfg->bytes[off + i], mask = cfg->mask[off + i];

		*b = (uint8_t)((*b & ~mask) | (src[i] & mask));
		if (off + i == FLR_BYTE && (src[i] & FLR_BIT) != 0)
			actions |= NFED_CONFIG_FLR;
	}
	if (master != nfed_config_bus_master(cfg))
		actions |= master ? NFED_CONFIG_MASTER_OFF : NFED_CONFIG_MASTER_ON;
	return actions;
}

bool
nfed_config_bus_master(const struct nfed_config *cfg)
{
	return (cfg->bytes[PCI_COMMAND] & PCI_COMMAND_MASTER) != 0;
}
