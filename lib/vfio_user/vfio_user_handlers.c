/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The commands of an attached client: one table with the sizes and descriptor counts that each
 * allows, one handler each that checks the fields, in 64 bits, and calls the device. A refusal is
 * counted by reason and leaves nothing behind. On the owner's thread, from dispatch().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfio_user_server_priv.h"

void *
vfio_user_reply_room(struct vfio_user_reply *reply, uint32_t len)
{
	reply->data = len <= sizeof(reply->small) ? reply->small : calloc(1, len);
	reply->len = reply->data == NULL ? 0 : len;
	return reply->data;
}

static int
bad_range(struct vfio_user_server *server)
{
	return vfio_user_refuse(&server->stats.bad_range, -EINVAL);
}

static int
bad_size(struct vfio_user_server *server)
{
	return vfio_user_refuse(&server->stats.bad_size, -EINVAL);
}

/* Of a page-granular piece of the client's address space. */
static bool
iova_ok(uint64_t iova, uint64_t size)
{
	return size > 0 && (iova | size) % VFIO_USER_PAGE == 0 && iova <= UINT64_MAX - size;
}

static int
handle_dma_map(struct vfio_user_server *server, struct vfio_user_rx *rx,
	       struct vfio_user_reply *reply)
{
	const uint32_t allowed = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct vfio_user_dma_map map;
	int fd = -1;

	(void)reply;
	memcpy(&map, rx->body, sizeof(map));
	if (map.argsz != sizeof(map))
		return bad_size(server);
	if ((map.flags & ~allowed) != 0 || map.flags == 0 || !iova_ok(map.iova, map.size))
		return bad_range(server);
	if (rx->fds.n == 1) {
		/* The end of the range must be a file offset, which is signed. */
		if (map.offset % VFIO_USER_PAGE != 0 || map.offset > INT64_MAX ||
		    map.size > INT64_MAX - map.offset)
			return bad_range(server);
		if (vfio_user_check_memory(rx->fds.fd[0]) < 0)
			return vfio_user_refuse(&server->stats.bad_fds, -EPERM);
		fd = rx->fds.fd[0];
		rx->fds.fd[0] = -1; /* the device's, even if it refuses */
	}
	return server->ops.dma_map(server->ctx, map.iova, map.size, map.flags, fd, map.offset);
}

static int
handle_dma_unmap(struct vfio_user_server *server, struct vfio_user_rx *rx,
		 struct vfio_user_reply *reply)
{
	struct vfio_user_dma_unmap unmap;
	int rc;

	memcpy(&unmap, rx->body, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap))
		return bad_size(server);
	if (unmap.flags == VFIO_DMA_UNMAP_FLAG_ALL) {
		/* QEMU's way to forget everything, taken over from VFIO. */
		if (unmap.iova != 0 || unmap.size != 0)
			return bad_range(server);
		rc = server->ops.dma_unmap(server->ctx, 0, UINT64_MAX);
	} else {
		if (unmap.flags != 0 || !iova_ok(unmap.iova, unmap.size))
			return bad_range(server);
		rc = server->ops.dma_unmap(server->ctx, unmap.iova, unmap.size);
	}
	if (rc < 0)
		return rc;
	unmap.argsz = sizeof(unmap);
	memcpy(vfio_user_reply_room(reply, sizeof(unmap)), &unmap, sizeof(unmap));
	return 0;
}

static int
handle_get_info(struct vfio_user_server *server, struct vfio_user_rx *rx,
		struct vfio_user_reply *reply)
{
	struct vfio_user_device info;

	memcpy(&info, rx->body, sizeof(info));
	if (info.argsz < sizeof(info))
		return bad_size(server);
	if ((info.flags | info.nb_regions | info.nb_irqs) != 0)
		return bad_range(server);
	info.argsz = sizeof(info);
	info.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI;
	info.nb_regions = VFIO_USER_MAX_REGIONS;
	info.nb_irqs = VFIO_USER_MAX_IRQS;
	memcpy(vfio_user_reply_room(reply, sizeof(info)), &info, sizeof(info));
	return 0;
}

static void
fill_sparse(const struct vfio_user_region *region, struct vfio_user_sparse *sparse)
{
	sparse->cap.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	sparse->cap.version = 1;
	sparse->nb_areas = region->nb_areas;
	for (unsigned int i = 0; i < region->nb_areas; i++) {
		sparse->area[i].offset = region->area[i].offset;
		sparse->area[i].size = region->area[i].size;
	}
}

static void
fill_region_info(const struct vfio_user_region *region, struct vfio_user_region_info *info)
{
	info->argsz = sizeof(*info);
	info->size = region->size;
	if (region->size > 0)
		info->flags = (region->read ? VFIO_REGION_INFO_FLAG_READ : 0) |
			      (region->write ? VFIO_REGION_INFO_FLAG_WRITE : 0);
	if (region->nb_areas > 0) {
		info->argsz += (uint32_t)(sizeof(struct vfio_user_sparse) +
					  region->nb_areas * sizeof(struct vfio_user_area));
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
		info->cap_offset = sizeof(*info);
	}
}

/* QEMU asks twice: the short answer says how long the full one is, the full one brings the fd. */
static int
handle_get_region_info(struct vfio_user_server *server, struct vfio_user_rx *rx,
		       struct vfio_user_reply *reply)
{
	struct vfio_user_region_info info;
	const struct vfio_user_region *region;
	uint32_t room;
	uint8_t *data;

	memcpy(&info, rx->body, sizeof(info));
	room = info.argsz;
	if (room < sizeof(info))
		return bad_size(server);
	if (info.index >= VFIO_USER_MAX_REGIONS ||
	    (info.flags | info.cap_offset | info.size | info.offset) != 0)
		return bad_range(server);
	region = &server->info.region[info.index];
	fill_region_info(region, &info);
	if (region->nb_areas == 0 || room < info.argsz) {
		memcpy(vfio_user_reply_room(reply, sizeof(info)), &info, sizeof(info));
		return 0;
	}
	reply->fd[0] = server->ops.region_fd(server->ctx, info.index);
	if (reply->fd[0] < 0)
		return -EIO;
	reply->nb_fds = 1;
	data = vfio_user_reply_room(reply, info.argsz);
	memcpy(data, &info, sizeof(info));
	fill_sparse(region, (struct vfio_user_sparse *)(void *)(data + sizeof(info)));
	return 0;
}

/* One descriptor per sub-region, in the same order. */
static int
fill_io_fds(struct vfio_user_server *server, unsigned int index, struct vfio_user_reply *reply,
	    struct vfio_user_io_fd *sub)
{
	const struct vfio_user_region *region = &server->info.region[index];

	for (unsigned int i = 0; i < region->nb_kicks; i++) {
		reply->fd[i] = server->ops.kick_fd(server->ctx, index, i);
		if (reply->fd[i] < 0)
			return -EIO;
		sub[i].offset = region->kick[i].offset;
		sub[i].size = region->kick[i].size;
		sub[i].fd_index = i;
		sub[i].type = VFIO_USER_IO_FD_IOEVENTFD;
	}
	reply->nb_fds = region->nb_kicks;
	return 0;
}

static int
handle_get_region_io_fds(struct vfio_user_server *server, struct vfio_user_rx *rx,
			 struct vfio_user_reply *reply)
{
	struct vfio_user_region_io_fds info;
	uint32_t room;
	uint8_t *data;

	memcpy(&info, rx->body, sizeof(info));
	room = info.argsz;
	if (room < sizeof(info))
		return bad_size(server);
	if (info.index >= VFIO_USER_MAX_REGIONS || info.flags != 0 || info.count != 0)
		return bad_range(server);
	info.count = server->info.region[info.index].nb_kicks;
	/* One descriptor for each, in one message: who takes fewer writes to the region instead. */
	if (info.count == 0 || info.count > server->conn->max_fds)
		return -ENOTSUP;
	info.argsz = (uint32_t)(sizeof(info) + info.count * sizeof(struct vfio_user_io_fd));
	if (room < info.argsz) {
		memcpy(vfio_user_reply_room(reply, sizeof(info)), &info, sizeof(info));
		return 0;
	}
	data = vfio_user_reply_room(reply, info.argsz);
	memcpy(data, &info, sizeof(info));
	return fill_io_fds(server, info.index, reply,
			   (struct vfio_user_io_fd *)(void *)(data + sizeof(info)));
}

static int
handle_get_irq_info(struct vfio_user_server *server, struct vfio_user_rx *rx,
		    struct vfio_user_reply *reply)
{
	struct vfio_user_irq_info info;

	memcpy(&info, rx->body, sizeof(info));
	if (info.argsz < sizeof(info))
		return bad_size(server);
	if (info.index >= VFIO_USER_MAX_IRQS || info.flags != 0 || info.count != 0)
		return bad_range(server);
	info.argsz = sizeof(info);
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = server->info.irq_count[info.index];
	memcpy(vfio_user_reply_room(reply, sizeof(info)), &info, sizeof(info));
	return 0;
}

static int
handle_set_irqs(struct vfio_user_server *server, struct vfio_user_rx *rx,
		struct vfio_user_reply *reply)
{
	(void)reply;
	return vfio_user_irq_set(server, rx);
}

static bool
access_ok(const struct vfio_user_server *server, const struct vfio_user_region_rw *rw, bool write)
{
	const struct vfio_user_region *region;

	if (rw->region >= VFIO_USER_MAX_REGIONS || rw->count == 0 ||
	    rw->count > VFIO_USER_MAX_XFER)
		return false;
	region = &server->info.region[rw->region];
	if (write ? !region->write : !region->read)
		return false;
	return rw->offset <= region->size && rw->count <= region->size - rw->offset;
}

static int
handle_region_read(struct vfio_user_server *server, struct vfio_user_rx *rx,
		   struct vfio_user_reply *reply)
{
	struct vfio_user_region_rw rw;
	uint8_t *data;

	memcpy(&rw, rx->body, sizeof(rw));
	if (!access_ok(server, &rw, false))
		return bad_range(server);
	data = vfio_user_reply_room(reply, (uint32_t)sizeof(rw) + rw.count);
	if (data == NULL)
		return -ENOMEM;
	memcpy(data, &rw, sizeof(rw));
	return server->ops.region_read(server->ctx, rw.region, rw.offset, data + sizeof(rw),
				       rw.count);
}

static int
handle_region_write(struct vfio_user_server *server, struct vfio_user_rx *rx,
		    struct vfio_user_reply *reply)
{
	struct vfio_user_region_rw rw;

	memcpy(&rw, rx->body, sizeof(rw));
	if (!access_ok(server, &rw, true))
		return bad_range(server);
	if (vfio_user_rx_body_len(rx) - sizeof(rw) != rw.count)
		return bad_size(server);
	memcpy(vfio_user_reply_room(reply, sizeof(rw)), &rw, sizeof(rw));
	return server->ops.region_write(server->ctx, rw.region, rw.offset, rx->body + sizeof(rw),
					rw.count);
}

static int
handle_reset(struct vfio_user_server *server, struct vfio_user_rx *rx,
	     struct vfio_user_reply *reply)
{
	(void)rx;
	(void)reply;
	server->ops.reset(server->ctx);
	/* What was pending belongs to the time before. */
	vfio_user_irq_clear_latches(server);
	return 0;
}

static const struct command {
	int (*handle)(struct vfio_user_server *server, struct vfio_user_rx *rx,
		      struct vfio_user_reply *reply);
	uint32_t min_len, max_len; /* bytes of the body */
	uint32_t max_fds;
} commands[] = {
	[VFIO_USER_DMA_MAP] = { handle_dma_map, 32, 32, 1 },
	[VFIO_USER_DMA_UNMAP] = { handle_dma_unmap, 24, 24, 0 },
	[VFIO_USER_DEVICE_GET_INFO] = { handle_get_info, 16, 16, 0 },
	[VFIO_USER_DEVICE_GET_REGION_INFO] = { handle_get_region_info, 32, 32, 0 },
	[VFIO_USER_DEVICE_GET_REGION_IO_FDS] = { handle_get_region_io_fds, 16, 16, 0 },
	[VFIO_USER_DEVICE_GET_IRQ_INFO] = { handle_get_irq_info, 16, 16, 0 },
	[VFIO_USER_DEVICE_SET_IRQS] = { handle_set_irqs, 20, 20 + VFIO_USER_MAX_VECTORS,
					VFIO_USER_MAX_FDS },
	[VFIO_USER_REGION_READ] = { handle_region_read, 16, 16, 0 },
	[VFIO_USER_REGION_WRITE] = { handle_region_write, 16, 16 + VFIO_USER_MAX_XFER, 0 },
	[VFIO_USER_DEVICE_RESET] = { handle_reset, 0, 0, 0 },
};

int
vfio_user_handle(struct vfio_user_server *server, struct vfio_user_rx *rx,
		 struct vfio_user_reply *reply)
{
	uint32_t len = vfio_user_rx_body_len(rx);
	const struct command *command;

	if (rx->hdr.cmd == VFIO_USER_VERSION)
		return vfio_user_refuse(&server->stats.bad_order, -EINVAL);
	if (rx->hdr.cmd >= sizeof(commands) / sizeof(commands[0]) ||
	    commands[rx->hdr.cmd].handle == NULL)
		return vfio_user_refuse(&server->stats.bad_command, -ENOTSUP);
	command = &commands[rx->hdr.cmd];
	if (rx->bad_fds || rx->fds.n > command->max_fds)
		return vfio_user_refuse(&server->stats.bad_fds, -EINVAL);
	if (len < command->min_len || len > command->max_len)
		return bad_size(server);
	return command->handle(server, rx, reply);
}
