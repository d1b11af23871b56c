/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Copy mode: the device reaches nothing but an area that the bus gave us at probe, "share_kib=" of
 * it. Queues lie in it, and buffers into and out of which frames are copied (nfe_copy.c). Over Xen
 * there is no other way: a kernel grants only pages that it made for that. Over a socket it is a
 * choice: the switch sees frames instead of all EAL memory.
 *
 * The area is one region and is handed out by the page. Control path.
 */
#ifndef NFE_SHARE_H
#define NFE_SHARE_H

#include <stddef.h>
#include <stdint.h>

#define NFE_SHARE_XEN_KIB 3072u /* default over Xen: of the 4096 that gntalloc gives by default */
#define NFE_SHARE_MIN_KIB 256u
#define NFE_SHARE_MAX_KIB (1024u * 1024u)

struct nfe_port;
struct nfe_zone;

/* Register nfeh_mem() as the one region, and make it the port's map. Needs port->h. */
int nfe_share_start(struct nfe_port *port);
void nfe_share_free(struct nfe_port *port);
/* The port is to have so many queues: each may take as much as the others. */
void nfe_share_divide(struct nfe_port *port, unsigned int nb_queues);
/* Bytes that a queue may take, all its zones together; a multiple of the page size. */
size_t nfe_share_of_queue(const struct nfe_port *port);

/* As nfe_zone_alloc(); zeroed, page-aligned. */
int nfe_share_alloc(struct nfe_port *port, const char *what, size_t len, struct nfe_zone *zone);
void nfe_share_release(struct nfe_port *port, const struct nfe_zone *zone);

#endif /* NFE_SHARE_H */
