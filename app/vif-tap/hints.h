/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Between the kernel's struct virtio_net_hdr, which stands before each frame on a tap with
 * IFF_VNET_HDR, and the hints of our messages (specification 4.8).
 */
#ifndef HINTS_H
#define HINTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <linux/virtio_net.h>

#include <nfe_hints.h>

/* From the kernel: flags and hints as the header says, of a frame that still has to be checked. */
uint8_t hints_from_tap(const struct virtio_net_hdr *vh, struct nfe_hints *h);
void hints_to_tap(uint8_t flags, const struct nfe_hints *h, struct virtio_net_hdr *vh);
/* Complete the checksum that the kernel left open, wherever in the frame it is. False: its place is
 * beyond the frame. */
bool hints_complete(const struct virtio_net_hdr *vh, const struct iovec *frame, int nb_pieces);

#endif /* HINTS_H */
