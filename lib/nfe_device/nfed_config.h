/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * PCI configuration space of a function (specification 2.1): identity, BAR sizes, COMMAND, with
 * true write masks, so that a host may size the BARs. No capabilities. Control thread only.
 */
#ifndef NFED_CONFIG_H
#define NFED_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define NFED_CONFIG_SIZE 4096u /* QEMU reads as much; beyond 256 all is zero */
#define NFED_CONFIG_BARS 6

struct nfed_config {
	uint8_t bytes[256];
	uint8_t mask[256]; /* bits that the host may write */
};

/* bar_size: powers of two of at least 16 bytes, 0 where there is no BAR. */
void nfed_config_init(struct nfed_config *cfg, const uint64_t bar_size[NFED_CONFIG_BARS]);
void nfed_config_reset(struct nfed_config *cfg); /* all that the host wrote */
/* Bounds are the caller's: off + count <= NFED_CONFIG_SIZE. */
void nfed_config_read(const struct nfed_config *cfg, uint64_t off, void *buf, uint32_t count);
void nfed_config_write(struct nfed_config *cfg, uint64_t off, const void *buf, uint32_t count);
bool nfed_config_bus_master(const struct nfed_config *cfg);

#endif /* NFED_CONFIG_H */
