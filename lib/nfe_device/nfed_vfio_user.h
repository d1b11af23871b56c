/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * vfio-user attachment of a function: one listening socket, one function behind it. Ties the
 * protocol server, the DMA maps and the function together, owns the sealed memfd with the
 * doorbell pages and the two kick eventfds (new ones per connection). Control thread only.
 */
#ifndef NFED_VFIO_USER_H
#define NFED_VFIO_USER_H

#include <vfio_user_server.h>

#include "nfed_dma.h"
#include "nfed_function.h"
#include "nfed_loop.h"

struct nfed_vfio_user;

struct nfed_vfio_user_conf {
	const char *path; /* of the socket */
	bool no_msix; /* PCI drivers see no MSI-X: QEMU can then unplug the device */
	unsigned int mode;
	struct nfed_loop *loop;
	struct nfed_dma_limits dma; /* share of this VIF (nfed_share.h); 0: no limit of the daemon's */
	struct nfed_function_conf function; /* transport, transport_ctx and db are filled in here */
	/* A client came or went; why is "" or the reason. May be NULL. */
	void (*attached)(void *owner, bool attached, const char *why);
};

int nfed_vfio_user_create(const struct nfed_vfio_user_conf *conf, struct nfed_vfio_user **att);
void nfed_vfio_user_destroy(struct nfed_vfio_user *att);
struct nfed_function *nfed_vfio_user_function(struct nfed_vfio_user *att);
/* Where the guest kicks for its data channels; the owner's lcore sleeps on it. The same for life.
 * An epoll descriptor: watch it with EPOLLIN | EPOLLET only, never read it (nfed_kick.h). */
int nfed_vfio_user_data_kick_fd(const struct nfed_vfio_user *att);
/* Have nfed_control_run() called by the loop soon: what owner_ops->attention may do. Any thread. */
void nfed_vfio_user_attention(struct nfed_vfio_user *att);
bool nfed_vfio_user_connected(const struct nfed_vfio_user *att);
void nfed_vfio_user_server_stats(const struct nfed_vfio_user *att,
				 struct vfio_user_server_stats *stats);

#endif /* NFED_VFIO_USER_H */
