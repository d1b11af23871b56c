/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A tap interface of the kernel, in the network namespace of the caller. It goes away with its file
 * descriptor. All calls on one thread; all of them say what is wrong on stderr and return a
 * negative errno.
 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stdint.h>

#define TAP_HINTS 1u /* a struct virtio_net_hdr before each frame, both directions */
#define TAP_CSUM 2u  /* with it: the kernel may leave checksums open, */
#define TAP_TSO 4u   /* and TCP data uncut */

/* Create it; returns a non-blocking descriptor. A name that exists is refused. */
int tap_open(const char *name, unsigned int offload);
int tap_set_max_parts(const char *name, uint32_t parts);
int tap_set_mac(const char *name, const uint8_t mac[6]);
int tap_set_mtu(const char *name, uint32_t mtu);
int tap_set_up(const char *name);
/* cidr: "192.0.2.11/24" */
int tap_set_address(const char *name, const char *cidr);
int tap_set_carrier(int fd, const char *name, bool up);

#endif /* TAP_H */
