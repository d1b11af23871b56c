/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Reads a configuration file into memory, bounded, and has it parsed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vifsw_config.h"

/* Everything up to the limit; *len beyond the limit tells that there is more. */
static int
read_all(int fd, char *text, size_t room, size_t *len)
{
	*len = 0;
	while (*len < room) {
		ssize_t n = read(fd, text + *len, room - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return 0;
}

static int
report(vifsw_config_error_fn error, void *ctx, int rc)
{
	char message[128];

	if (rc == -EFBIG)
		snprintf(message, sizeof(message), "more than %u bytes", VIFSW_MAX_FILE);
	else
		snprintf(message, sizeof(message), "cannot be read: %s", strerror(-rc));
	error(ctx, 0, message);
	return rc;
}

int
vifsw_config_read(const char *path, const char *socket_dir, vifsw_config_error_fn error,
		  void *ctx, struct vifsw_config **config)
{
	size_t room = VIFSW_MAX_FILE + 1, len = 0;
	char *text;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return report(error, ctx, -errno);
	text = malloc(room);
	rc = text != NULL ? read_all(fd, text, room, &len) : -ENOMEM;
	close(fd);
	if (rc == 0 && len > VIFSW_MAX_FILE)
		rc = -EFBIG;
	rc = rc != 0 ? report(error, ctx, rc) :
		       vifsw_config_parse(text, len, socket_dir, error, ctx, config);
	free(text);
	return rc;
}
