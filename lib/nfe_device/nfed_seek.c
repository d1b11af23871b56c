/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* See nfed_seek.h. The thread has a descriptor of its own: the guest's may be closed meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <vfio_user_errand.h>

#include "nfed_seek.h"

struct nfed_seeker {
	struct vfio_user_errand errand;
	nfed_seek_fn seek;
	int fd;
	off_t offset, found; /* found: or a negative errno */
};

static void
seek_hole(struct vfio_user_errand *errand)
{
	struct nfed_seeker *s = (struct nfed_seeker *)errand;
	off_t found;

	pthread_mutex_unlock(&errand->lock);
	found = s->seek(s->fd, s->offset, SEEK_HOLE);
	if (found < 0)
		found = -errno;
	close(s->fd);
	pthread_mutex_lock(&errand->lock);
	s->found = found;
}

struct nfed_seeker *
nfed_seeker_create(nfed_seek_fn seek)
{
	struct nfed_seeker *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	vfio_user_errand_init(&s->errand, seek_hole);
	s->seek = seek;
	return s;
}

void
nfed_seeker_destroy(struct nfed_seeker *s)
{
	if (s != NULL)
		vfio_user_errand_leave(&s->errand, 0);
}

/* With the lock. 0, or the negative errno of what was not to be had. */
static int
seeker_start(struct nfed_seeker *s, int fd, off_t offset)
{
	int rc;

	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	s->offset = offset;
	rc = vfio_user_errand_start(&s->errand);
	if (rc < 0)
		close(s->fd);
	return rc;
}

off_t
nfed_seeker_hole(struct nfed_seeker *s, int fd, off_t offset, unsigned int ms)
{
	off_t found;
	int rc;

	pthread_mutex_lock(&s->errand.lock);
	rc = s->errand.running ? -EBUSY : seeker_start(s, fd, offset);
	if (rc == 0)
		rc = vfio_user_errand_wait(&s->errand, ms);
	found = rc == 0 ? s->found : rc == -ETIMEDOUT ? -EBUSY : rc;
	pthread_mutex_unlock(&s->errand.lock);
	return found;
}
