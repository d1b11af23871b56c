/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * PCI configuration space, see nfed_config.h. Called by the vfio-user attachment on the control
 * thread, which owns the struct.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include <nfe_regs.h>

#include "nfed_config.h"

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

void
nfed_config_init(struct nfed_config *cfg, const uint64_t bar_size[NFED_CONFIG_BARS])
{
	memset(cfg, 0, sizeof(*cfg));
	put16(cfg->bytes + PCI_VENDOR_ID, NFE_PCI_VENDOR);
	put16(cfg->bytes + PCI_DEVICE_ID, NFE_PCI_DEVICE);
	put16(cfg->bytes + PCI_SUBSYSTEM_VENDOR_ID, NFE_PCI_SUBVENDOR);
	put16(cfg->bytes + PCI_SUBSYSTEM_ID, NFE_PCI_SUBDEVICE);
	cfg->bytes[PCI_CLASS_DEVICE + 1] = 0x02; /* network controller, Ethernet */
	put16(cfg->mask + PCI_COMMAND,
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	cfg->mask[PCI_CACHE_LINE_SIZE] = 0xff;
	cfg->mask[PCI_INTERRUPT_LINE] = 0xff;
	for (unsigned int i = 0; i < NFED_CONFIG_BARS; i++)
		if (bar_size[i] != 0)
			put32(cfg->mask + PCI_BASE_ADDRESS_0 + 4 * i,
			      ~((uint32_t)bar_size[i] - 1));
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

void
nfed_config_write(struct nfed_config *cfg, uint64_t off, const void *buf, uint32_t count)
{
	const uint8_t *src = buf;

	for (uint32_t i = 0; i < count && off + i < sizeof(cfg->bytes); i++) {
		uint8_t *b = &cfg->bytes[off + i], mask = cfg->mask[off + i];

		*b = (uint8_t)((*b & ~mask) | (src[i] & mask));
	}
}

bool
nfed_config_bus_master(const struct nfed_config *cfg)
{
	return (cfg->bytes[PCI_COMMAND] & PCI_COMMAND_MASTER) != 0;
}
