/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a hostile peer does to the eventfds that it shares with the other end. Both ends are in this
 * process, so a shared one is known by its id under two descriptors.
 */
#ifndef TEST_EVENTFDS_H
#define TEST_EVENTFDS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/eventfd.h>

#define EVENTFDS_MAX_FD 256

/* -1: no eventfd. */
static inline int
eventfd_id(int fd)
{
	char path[64], line[128];
	int id = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "eventfd-id: %d", &id) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return id;
}

/* Blocking from now on, and full or empty. */
static inline void
eventfd_spoil(int fd, bool full)
{
	eventfd_t value;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	eventfd_read(fd, &value);
	if (full)
		eventfd_write(fd, UINT64_MAX - 1);
	fcntl(fd, F_SETFL, 0);
}

/* All that are shared; how many they are. */
static inline unsigned int
eventfds_spoil_shared(bool full)
{
	int id[EVENTFDS_MAX_FD];
	unsigned int n = 0;

	for (int fd = 0; fd < EVENTFDS_MAX_FD; fd++) {
		id[fd] = eventfd_id(fd);
		for (int other = 0; id[fd] >= 0 && other < fd; other++)
			if (id[other] == id[fd]) {
				eventfd_spoil(fd, full);
				n++;
				break;
			}
	}
	return n;
}

#endif /* TEST_EVENTFDS_H */
