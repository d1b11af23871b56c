/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * VERSION: protocol version and capabilities, JSON that a stranger wrote. Its size is bounded by
 * the caller (one page), its depth by jansson.
 */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "vfio_user_server_priv.h"

/* Limits of ours, not offers, so they are stated whatever the client proposes. write_multiple and
 * twin_socket are absent: not supported. */
const char vfio_user_caps_reply[] =
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,\"pgsizes\":4096}}";
static_assert(VFIO_USER_MAX_FDS == 16 && VFIO_USER_MAX_XFER == 1048576 && VFIO_USER_PAGE == 4096,
	      "as in vfio_user_caps_reply");

/* Known capabilities are numbers of at least 1; unknown ones are none of our business. Sets *max_fds if
 * the client says how many descriptors it takes. */
static bool
caps_ok(const json_t *root, uint64_t *max_fds)
{
	static const char *const numbers[] = { "max_msg_fds", "max_data_xfer_size", "max_dma_maps",
					       "pgsizes" };
	const json_t *caps, *value;

	if (!json_is_object(root))
		return false;
	caps = json_object_get(root, "capabilities");
	if (caps == NULL)
		return true;
	if (!json_is_object(caps))
		return false;
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		value = json_object_get(caps, numbers[i]);
		if (value != NULL && (!json_is_integer(value) || json_integer_value(value) < 1))
			return false;
	}
	value = json_object_get(caps, "max_msg_fds");
	if (value != NULL)
		*max_fds = (uint64_t)json_integer_value(value);
	return true;
}

static bool
json_ok(const char *text, uint32_t len, uint64_t *max_fds)
{
	json_t *root;
	bool ok;

	if (text[len - 1] != '\0' || memchr(text, '\0', len - 1) != NULL)
		return false;
	root = json_loadb(text, len - 1, JSON_REJECT_DUPLICATES, NULL);
	if (root == NULL)
		return false;
	ok = caps_ok(root, max_fds);
	json_decref(root);
	return ok;
}

int
vfio_user_caps_check(struct vfio_user_server *server, struct vfio_user_conn *conn)
{
	const struct vfio_user_rx *rx = &conn->rx;
	uint32_t len = vfio_user_rx_body_len(rx);
	struct vfio_user_version version;

	if (len < sizeof(version))
		return vfio_user_refuse(&server->stats.bad_size, -EINVAL);
	memcpy(&version, rx->body, sizeof(version));
	if (version.major != VFIO_USER_MAJOR)
		return vfio_user_refuse(&server->stats.refused_version, -ENOTSUP);
	len -= (uint32_t)sizeof(version);
	conn->max_fds = 1; /* what holds if it says nothing */
	if (len > 0 && !json_ok((const char *)rx->body + sizeof(version), len, &conn->max_fds))
		return vfio_user_refuse(&server->stats.bad_json, -EINVAL);
	return 0;
}
