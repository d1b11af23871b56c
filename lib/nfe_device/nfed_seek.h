/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lseek(SEEK_HOLE) takes the lock of the file. A guest holds it for as long as it likes: by a write() from
 * memory whose page never comes. So a thread seeks, and who asks waits a little only (rule 14). One
 * per guest: while it is stuck, so are this guest's further searches.
 */
#ifndef NFED_SEEK_H
#define NFED_SEEK_H

#include <sys/types.h>

/* For all searches of one request: what a guest may make last (nfed_control.c: charge), and long for eight
 * on a machine with much else to do (100 ms once were not enough beside three emulated VMs). */
#define NFED_SEEK_MS 300u

struct nfed_seeker;
typedef off_t (*nfed_seek_fn)(int fd, off_t offset, int whence); /* lseek() */

struct nfed_seeker *nfed_seeker_create(nfed_seek_fn seek); /* NULL: no memory */
void nfed_seeker_destroy(struct nfed_seeker *s); /* a thread that is stuck is left behind */
/* Offset of the first hole of fd from offset on; -EBUSY: nobody can tell now, or in so many
 * milliseconds; or an errno of lseek(). */
off_t nfed_seeker_hole(struct nfed_seeker *s, int fd, off_t offset, unsigned int ms);

#endif /* NFED_SEEK_H */
