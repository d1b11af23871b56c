/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Client of vfio-user: regions, what of them can be mapped, and kick eventfds. Sizes, offsets and
 * capability chains in the replies are the server's claims and checked here (rule 16).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfio_user_client_priv.h"

#define INFO_MAX 1024u /* bytes of region info with its capabilities */
#define KICKS_MAX 16u  /* sub-regions in a GET_REGION_IO_FDS reply */
#define CAPS_MAX 8u    /* capabilities of a region */

/* Ask for region info with room bytes for the reply, of which the fixed part goes to info. */
static int
call_region_info(struct vfio_user_client *client, unsigned int region, uint32_t room,
		 struct vfio_user_region_info *info)
{
	const struct vfio_user_region_info request = { .argsz = room, .index = region };
	const struct vfio_user_call call = {
		.cmd = VFIO_USER_DEVICE_GET_REGION_INFO,
		.body = &request, .body_len = sizeof(request),
		.min_reply = sizeof(*info), .max_reply = room, .max_reply_fds = 1,
	};
	int rc = vfio_user_call(client, &call);

	if (rc < 0)
		return rc;
	memcpy(info, client->rx.body, sizeof(*info));
	if (info->index != region || info->argsz < sizeof(*info) || info->argsz > INFO_MAX) {
		vfio_user_call_end(client);
		return vfio_user_client_fail(client, -EPROTO);
	}
	return 0;
}

static int
add_area(struct vfio_user_client_region *region, const struct vfio_user_area *area)
{
	if (region->nb_areas == VFIO_USER_CLIENT_AREAS)
		return -EPROTO;
	if (area->size == 0 || (area->offset | area->size) % VFIO_USER_PAGE != 0 ||
	    area->offset > region->size || area->size > region->size - area->offset)
		return -EPROTO;
	region->area[region->nb_areas].offset = area->offset;
	region->area[region->nb_areas].size = area->size;
	region->nb_areas++;
	return 0;
}

/* body holds the region info reply of len bytes, the sparse capability starts at offset at. */
static int
parse_sparse(const uint8_t *body, uint32_t len, uint32_t at, struct vfio_user_client_region *region)
{
	struct vfio_user_sparse sparse;
	struct vfio_user_area area;
	int rc;

	if (len - at < sizeof(sparse))
		return -EPROTO;
	memcpy(&sparse, body + at, sizeof(sparse));
	at += (uint32_t)sizeof(sparse);
	if (sparse.cap.version != 1 || sparse.nb_areas > (len - at) / sizeof(area))
		return -EPROTO;
	for (uint32_t i = 0; i < sparse.nb_areas; i++) {
		memcpy(&area, body + at + i * sizeof(area), sizeof(area));
		rc = add_area(region, &area);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Walk the capabilities, a bounded number of them; *sparse tells whether areas were given. */
static int
parse_caps(const uint8_t *body, uint32_t len, uint32_t at, struct vfio_user_client_region *region,
	   bool *sparse)
{
	struct vfio_user_cap cap;
	int rc;

	*sparse = false;
	for (unsigned int hops = 0; at != 0; hops++) {
		if (hops == CAPS_MAX || at < sizeof(struct vfio_user_region_info) || at % 8 != 0 ||
		    at > len || len - at < sizeof(cap))
			return -EPROTO;
		memcpy(&cap, body + at, sizeof(cap));
		if (cap.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
			if (*sparse)
				return -EPROTO;
			*sparse = true;
			rc = parse_sparse(body, len, at, region);
			if (rc < 0)
				return rc;
		}
		at = cap.next;
	}
	return 0;
}

/* Bytes beyond the end of the file would be a SIGBUS in the driver. */
static bool
fd_covers(int fd, const struct vfio_user_client_region *region)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (!S_ISREG(st.st_mode))
		return true; /* a device file has no size to compare with */
	for (unsigned int i = 0; i < region->nb_areas; i++)
		if (region->area[i].offset + region->area[i].size > (uint64_t)st.st_size)
			return false;
	return true;
}

/* Take areas and descriptor from the full reply in client->rx. */
static int
parse_mappable(struct vfio_user_client *client, const struct vfio_user_region_info *info,
	       unsigned int index, struct vfio_user_client_region *region)
{
	const struct vfio_user_area all = { 0, region->size };
	struct vfio_user_rx *rx = &client->rx;
	bool sparse = false;
	int rc = 0;

	if (info->offset != 0)
		return -ENOTSUP; /* area offsets would not be file offsets */
	if ((info->flags & VFIO_REGION_INFO_FLAG_CAPS) != 0)
		rc = parse_caps(rx->body, vfio_user_rx_body_len(rx), info->cap_offset, region,
				&sparse);
	if (rc == 0 && !sparse)
		rc = add_area(region, &all);
	if (rc < 0)
		return rc;
	if (rx->fds.n != 1 || !fd_covers(rx->fds.fd[0], region))
		return -EPROTO;
	if (client->region_fd[index] < 0) { /* asked again: the first one goes on being valid */
		client->region_fd[index] = rx->fds.fd[0];
		rx->fds.fd[0] = -1;
	}
	region->fd = client->region_fd[index];
	return 0;
}

int
vfio_user_client_region_info(struct vfio_user_client *client, unsigned int index,
			     struct vfio_user_client_region *region)
{
	struct vfio_user_region_info info;
	uint32_t room = sizeof(info);
	int rc;

	if (index >= VFIO_USER_CLIENT_REGIONS)
		return -EINVAL;
	memset(region, 0, sizeof(*region));
	region->fd = -1;
	rc = call_region_info(client, index, room, &info);
	if (rc < 0)
		return rc;
	if (info.argsz > room) {
		vfio_user_call_end(client);
		room = info.argsz;
		rc = call_region_info(client, index, room, &info);
		if (rc < 0)
			return rc;
	}
	region->size = info.size;
	region->flags = info.flags;
	if (info.argsz > room || vfio_user_rx_body_len(&client->rx) != info.argsz)
		rc = -EPROTO; /* it grew meanwhile, or is not all there */
	else if ((info.flags & VFIO_REGION_INFO_FLAG_MMAP) != 0)
		rc = parse_mappable(client, &info, index, region);
	vfio_user_call_end(client);
	return rc == -EPROTO ? vfio_user_client_fail(client, rc) : rc;
}

/* The descriptor index for writes to offset, from the reply in client->rx; or a negative errno. */
static int
find_kick(struct vfio_user_client *client, unsigned int region, uint64_t offset)
{
	const struct vfio_user_rx *rx = &client->rx;
	struct vfio_user_region_io_fds info;
	struct vfio_user_io_fd sub;
	uint32_t len = vfio_user_rx_body_len(rx) - (uint32_t)sizeof(info);

	memcpy(&info, rx->body, sizeof(info));
	if (info.index != region || info.flags != 0 || info.count > KICKS_MAX ||
	    info.argsz != sizeof(info) + len || len != info.count * sizeof(sub))
		return -EPROTO;
	for (uint32_t i = 0; i < info.count; i++) {
		memcpy(&sub, rx->body + sizeof(info) + i * sizeof(sub), sizeof(sub));
		if (sub.fd_index >= rx->fds.n)
			return -EPROTO;
		if (sub.type != VFIO_USER_IO_FD_IOEVENTFD || sub.flags != 0 || offset < sub.offset)
			continue;
		if (offset == sub.offset || offset - sub.offset < sub.size)
			return (int)sub.fd_index;
	}
	return -ENOTSUP;
}

int
vfio_user_client_kick_fd(struct vfio_user_client *client, unsigned int region, uint64_t offset)
{
	const uint32_t room = sizeof(struct vfio_user_region_io_fds) +
			      KICKS_MAX * sizeof(struct vfio_user_io_fd);
	const struct vfio_user_region_io_fds request = { .argsz = room, .index = region };
	const struct vfio_user_call call = {
		.cmd = VFIO_USER_DEVICE_GET_REGION_IO_FDS,
		.body = &request, .body_len = sizeof(request),
		.min_reply = sizeof(request), .max_reply = room,
		.max_reply_fds = VFIO_USER_MAX_FDS,
	};
	int *fds = client->rx.fds.fd;
	int i, rc;

	rc = vfio_user_call(client, &call);
	if (rc < 0)
		return rc;
	i = find_kick(client, region, offset);
	if (i < 0) {
		rc = i;
	} else if (vfio_user_check_eventfd(fds[i]) < 0) {
		rc = -EPROTO; /* anything but an eventfd could block the data path */
	} else {
		rc = fds[i];
		fds[i] = -1; /* the caller's */
	}
	vfio_user_call_end(client);
	return rc == -EPROTO ? vfio_user_client_fail(client, rc) : rc;
}
