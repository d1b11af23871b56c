/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The table of what the transport said about guest memory: maps sorted by IOVA, and the files
 * behind them, each kept once (QEMU sends a new descriptor of the same inode with every map).
 * Nothing is mapped here, see nfed_dma_map.c. Control thread only; the table owns the descriptors.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <nfe_regs.h>

#include "nfed_dma_internal.h"
#include "nfed_seek.h"

#define STAT_BLOCK 512u /* bytes, the unit of st_blocks everywhere */

static void
close_at_once(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

struct nfed_dma *
nfed_dma_create(const struct nfed_dma_limits *limits)
{
	struct nfed_dma *dma = calloc(1, sizeof(*dma));

	if (dma == NULL)
		return NULL;
	dma->limits = *limits;
	dma->close_file = close_at_once;
	dma->maps = calloc(limits->max_maps, sizeof(*dma->maps));
	dma->files = calloc(limits->max_files, sizeof(*dma->files));
	dma->seeker = nfed_seeker_create(lseek);
	if (dma->maps == NULL || dma->files == NULL || dma->seeker == NULL) {
		nfed_seeker_destroy(dma->seeker);
		free(dma->maps);
		free(dma->files);
		free(dma);
		return NULL;
	}
	for (uint32_t i = 0; i < limits->max_files; i++)
		dma->files[i].fd = -1;
	return dma;
}

void
nfed_dma_destroy(struct nfed_dma *dma)
{
	if (dma == NULL)
		return;
	assert(dma->live_mappings == 0); /* the function lets go first */
	nfed_dma_clear(dma);
	nfed_seeker_destroy(dma->seeker);
	free(dma->maps);
	free(dma->files);
	free(dma);
}

void
nfed_dma_set_close(struct nfed_dma *dma, nfed_dma_close_fn close_file, void *ctx)
{
	dma->close_file = close_file;
	dma->close_ctx = ctx;
}

uint32_t
nfed_dma_find(const struct nfed_dma *dma, uint64_t iova)
{
	uint32_t low = 0, high = dma->nb_maps;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (dma->maps[mid].iova + (dma->maps[mid].size - 1) < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool
nfed_dma_in_file(const struct nfed_dma_file *file, uint64_t offset, uint64_t size, bool *full)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0 || st.st_size < 0)
		return false;
	*full = (uint64_t)st.st_blocks >= ((uint64_t)st.st_size + STAT_BLOCK - 1) / STAT_BLOCK;
	return offset <= (uint64_t)st.st_size && size <= (uint64_t)st.st_size - offset;
}

/* What kind of file is it? Only tmpfs and hugetlbfs cannot block an lcore for ever (rule 14). */
static int
file_inspect(int fd, struct nfed_dma_file *f)
{
	struct statfs fs;
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (flags & O_PATH) != 0)
		return -EPERM;
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC)
		return -EPERM;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->accmode = flags & O_ACCMODE;
	f->hugetlb = fs.f_type == HUGETLBFS_MAGIC;
	f->block = f->hugetlb ? (uint64_t)fs.f_bsize : NFE_PAGE_SIZE;
	f->fd = fd;
	f->refs = 0;
	return f->block >= NFE_PAGE_SIZE && (f->block & (f->block - 1)) == 0 ? 0 : -EPERM;
}

/* The slot of this file, new or known. *is_new: its fd is not yet ours. */
static int
file_slot(struct nfed_dma *dma, const struct nfed_dma_file *f, bool *is_new)
{
	int free_slot = -ENOSPC;

	*is_new = false;
	for (uint32_t i = 0; i < dma->limits.max_files; i++) {
		const struct nfed_dma_file *known = &dma->files[i];

		if (known->fd < 0)
			free_slot = free_slot < 0 ? (int)i : free_slot;
		else if (known->dev == f->dev && known->ino == f->ino &&
			 known->accmode == f->accmode)
			return (int)i;
	}
	*is_new = true;
	return free_slot;
}

static void
file_put(struct nfed_dma *dma, int32_t index)
{
	struct nfed_dma_file *f;

	if (index < 0)
		return;
	f = &dma->files[index];
	if (--f->refs > 0)
		return;
	dma->close_file(dma->close_ctx, f->fd);
	f->fd = -1;
}

static int
check_range(const struct nfed_dma *dma, uint64_t iova, uint64_t size, uint64_t fd_offset,
	    uint32_t *at)
{
	if (size == 0 || (iova | size | fd_offset) % NFE_PAGE_SIZE != 0 ||
	    size - 1 > UINT64_MAX - iova)
		return -EINVAL;
	*at = nfed_dma_find(dma, iova);
	if (*at < dma->nb_maps && dma->maps[*at].iova <= iova + (size - 1))
		return -EEXIST;
	return dma->nb_maps < dma->limits.max_maps ? 0 : -ENOSPC;
}

static void
insert(struct nfed_dma *dma, uint32_t at, const struct nfed_dma_entry *e)
{
	memmove(&dma->maps[at + 1], &dma->maps[at], (dma->nb_maps - at) * sizeof(*e));
	dma->maps[at] = *e;
	dma->nb_maps++;
}

/* With a descriptor: which file, and does the range lie in it? The fd stays the caller's unless
 * *taken. */
static int
add_file(struct nfed_dma *dma, int fd, uint64_t offset, uint64_t size, bool *taken)
{
	struct nfed_dma_file f;
	bool is_new, full;
	int rc, slot;

	*taken = false;
	rc = file_inspect(fd, &f);
	if (rc < 0)
		return rc;
	if (!nfed_dma_in_file(&f, offset, size, &full))
		return -EINVAL;
	slot = file_slot(dma, &f, &is_new);
	if (slot < 0)
		return slot;
	if (is_new) {
		dma->files[slot] = f;
		*taken = true;
	}
	dma->files[slot].refs++;
	return slot;
}

int
nfed_dma_add(struct nfed_dma *dma, uint64_t iova, uint64_t size, uint32_t prot, int fd,
	     uint64_t fd_offset)
{
	struct nfed_dma_entry e = { .iova = iova, .size = size, .offset = fd_offset, .file = -1,
				    .prot = prot & 3u };
	bool taken = false;
	uint32_t at;
	int rc;

	rc = check_range(dma, iova, size, fd_offset, &at);
	if (rc == 0 && fd >= 0) {
		rc = add_file(dma, fd, fd_offset, size, &taken);
		e.file = rc;
	}
	if (fd >= 0 && rc < 0)
		dma->close_file(dma->close_ctx, fd);
	else if (fd >= 0 && !taken)
		close(fd); /* of a file that we have: nothing is freed */
	if (rc < 0)
		return rc;
	insert(dma, at, &e);
	return 0;
}

void
nfed_dma_del(struct nfed_dma *dma, uint64_t iova, uint64_t size)
{
	uint64_t last = size - 1 > UINT64_MAX - iova ? UINT64_MAX : iova + (size - 1);
	uint32_t from, to;

	if (size == 0)
		return;
	from = nfed_dma_find(dma, iova);
	for (to = from; to < dma->nb_maps && dma->maps[to].iova <= last; to++)
		file_put(dma, dma->maps[to].file);
	memmove(&dma->maps[from], &dma->maps[to], (dma->nb_maps - to) * sizeof(*dma->maps));
	dma->nb_maps -= to - from;
}

void
nfed_dma_clear(struct nfed_dma *dma)
{
	for (uint32_t i = 0; i < dma->nb_maps; i++)
		file_put(dma, dma->maps[i].file);
	dma->nb_maps = 0;
}
