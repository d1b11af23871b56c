/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Small client of the public vfio-user protocol, for processes that drive a device on a socket:
 * the PMD and the guest library. Blocking calls with a deadline; one thread at a time (the caller
 * locks). Needs no EAL.
 */
#ifndef VFIO_USER_CLIENT_H
#define VFIO_USER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vfio_user_client;

struct vfio_user_client_region {
	uint64_t size;
	uint32_t flags;  /* VFIO_REGION_INFO_FLAG_* */
	int fd;          /* backs the mappable areas, -1 if none; owned by the client */
	unsigned int nb_areas;
	struct {
		uint64_t offset, size;
	} area[4];
};

/*
 * Connect and negotiate. timeout_ms bounds every later request as well.
 * -ENOENT, -ECONNREFUSED, -EACCES: as connect(); -EBUSY: somebody else is attached;
 * -EPROTO: not a vfio-user server or a version we do not know; -ETIMEDOUT; -ECONNRESET: the server
 * went away meanwhile.
 *
 * Of every later call: a negative errno that the server answered leaves the connection as it was.
 * After -ETIMEDOUT, -EPROTO or -ECONNRESET nothing can be said about the stream any more: the
 * client shuts it down (POLLHUP on its descriptor) and answers -ENOTCONN from then on; close it.
 */
int vfio_user_client_connect(const char *path, unsigned int timeout_ms,
			     struct vfio_user_client **client);
void vfio_user_client_close(struct vfio_user_client *client);

/* The socket, to be polled for POLLHUP (POLLRDHUP): the only sign of the server's death. */
int vfio_user_client_fd(const struct vfio_user_client *client);

int vfio_user_client_device_info(struct vfio_user_client *client, uint32_t *flags,
				 uint32_t *nb_regions, uint32_t *nb_irqs);
int vfio_user_client_region_info(struct vfio_user_client *client, unsigned int index,
				 struct vfio_user_client_region *region);
int vfio_user_client_irq_count(struct vfio_user_client *client, unsigned int index,
			       uint32_t *count);
int vfio_user_client_read(struct vfio_user_client *client, unsigned int region, uint64_t offset,
			  void *buf, uint32_t count);
int vfio_user_client_write(struct vfio_user_client *client, unsigned int region, uint64_t offset,
			   const void *buf, uint32_t count);
/* prot: bit 0 readable by the device, bit 1 writable */
int vfio_user_client_dma_map(struct vfio_user_client *client, uint64_t iova, uint64_t size,
			     uint32_t prot, int fd, uint64_t fd_offset);
int vfio_user_client_dma_unmap(struct vfio_user_client *client, uint64_t iova, uint64_t size);
/* eventfds for vectors start..start+count-1 of irq index 2 (MSI-X); an fd of -1 clears one */
int vfio_user_client_set_irqs(struct vfio_user_client *client, uint32_t start, uint32_t count,
			      const int *fds);
/* Eventfd that stands for a write to offset of region (GET_REGION_IO_FDS), owned by the caller.
 * -ENOTSUP where the server offers none: use vfio_user_client_write() instead. */
int vfio_user_client_kick_fd(struct vfio_user_client *client, unsigned int region, uint64_t offset);
int vfio_user_client_reset(struct vfio_user_client *client);

#endif /* VFIO_USER_CLIENT_H */
