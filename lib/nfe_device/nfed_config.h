/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * PCI configuration space of a function (specification 2.1): identity, BAR sizes, COMMAND, the
 * PCI Express capability with FLR, MSI-X as an option; with true write masks, so that a host may
 * size the BARs and a VM's firmware finds nothing that is not there. Control thread only.
 *
 *	000  type 0 header; BAR0, BAR2, BAR4 of 64 bits, not prefetchable; no ROM, no INTx
 *	040  PCI Express, endpoint, one lane
 *	080  MSI-X, if there are vectors: table at BAR4 + 0, PBA at BAR4 + 0x800
 */
#ifndef NFED_CONFIG_H
#define NFED_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define NFED_CONFIG_SIZE 4096u /* QEMU reads as much; beyond 256 all is zero */
#define NFED_CONFIG_BARS 6
#define NFED_CONFIG_PCIE 0x40u
#define NFED_CONFIG_MSIX 0x80u
#define NFED_MSIX_PBA 0x800u      /* in BAR4 */
#define NFED_MSIX_MAX_VECTORS 128 /* entries of 16 bytes before the PBA */

struct nfed_config {
	uint8_t bytes[256];
	uint8_t mask[256]; /* bits that the host may write */
};

/* What a write asks the owner to do. */
#define NFED_CONFIG_FLR 1u        /* reset the function, then nfed_config_reset() */
#define NFED_CONFIG_MASTER_OFF 2u /* bus master 1 -> 0: no DMA from now on */
#define NFED_CONFIG_MASTER_ON 4u  /* 0 -> 1 */

/* bar_size: powers of two of at least 16 bytes and below 4 GiB, at even numbers; 0: no such BAR.
 * vectors: 0 leaves MSI-X out, else 1..NFED_MSIX_MAX_VECTORS. */
void nfed_config_init(struct nfed_config *cfg, const uint64_t bar_size[NFED_CONFIG_BARS],
		      unsigned int vectors);
void nfed_config_reset(struct nfed_config *cfg); /* all that the host wrote */
/* Any width and alignment; bytes beyond the end read as 0 and are not written. */
void nfed_config_read(const struct nfed_config *cfg, uint64_t off, void *buf, uint32_t count);
unsigned int nfed_config_write(struct nfed_config *cfg, uint64_t off, const void *buf,
			       uint32_t count);
bool nfed_config_bus_master(const struct nfed_config *cfg);

#endif /* NFED_CONFIG_H */
