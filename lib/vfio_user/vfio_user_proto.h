/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Wire format of vfio-user, protocol 0.0, as server and client both speak it. The text in brackets
 * names the chapter of QEMU's docs/interop/vfio-user.rst. Constants that vfio-user borrows from
 * VFIO (region flags, irq flags, capability ids) come from <linux/vfio.h>.
 *
 * All values are in the host's byte order: both ends are on one machine. Internal to lib/vfio_user.
 */
#ifndef VFIO_USER_PROTO_H
#define VFIO_USER_PROTO_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/vfio.h>

#define VFIO_USER_MAJOR 0u
#define VFIO_USER_MINOR 0u
#define VFIO_USER_MAX_FDS 16u            /* per message; more is fatal to QEMU */
#define VFIO_USER_MAX_XFER (1024u * 1024) /* bytes of one REGION_READ or REGION_WRITE */
#define VFIO_USER_PAGE 4096u             /* granule of DMA maps and mappable areas */

enum vfio_user_command { /* [Commands] */
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_DEVICE_GET_INFO = 4,
	VFIO_USER_DEVICE_GET_REGION_INFO = 5,
	VFIO_USER_DEVICE_GET_REGION_IO_FDS = 6,
	VFIO_USER_DEVICE_GET_IRQ_INFO = 7,
	VFIO_USER_DEVICE_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DEVICE_RESET = 13,
};

struct vfio_user_hdr { /* [Header] */
	uint16_t id; /* the sender's own, only echoed */
	uint16_t cmd;
	uint32_t size; /* bytes, header included */
	uint32_t flags;
	uint32_t error; /* errno of a reply with VFIO_USER_F_ERROR; else 0 */
};
static_assert(sizeof(struct vfio_user_hdr) == 16, "[Header]");
static_assert(offsetof(struct vfio_user_hdr, size) == 4, "[Header]");
static_assert(offsetof(struct vfio_user_hdr, error) == 12, "[Header]");

#define VFIO_USER_F_TYPE 0x0fu
#define VFIO_USER_F_REQUEST 0x00u
#define VFIO_USER_F_REPLY 0x01u
#define VFIO_USER_F_NO_REPLY 0x10u
#define VFIO_USER_F_ERROR 0x20u

struct vfio_user_version { /* [VFIO_USER_VERSION] then JSON and its NUL, both optional */
	uint16_t major;
	uint16_t minor;
};
static_assert(sizeof(struct vfio_user_version) == 4, "[VFIO_USER_VERSION]");

struct vfio_user_dma_map { /* [VFIO_USER_DMA_MAP] */
	uint32_t argsz; /* 32 */
	uint32_t flags; /* VFIO_DMA_MAP_FLAG_READ, _WRITE */
	uint64_t offset; /* in the descriptor */
	uint64_t iova;
	uint64_t size;
};
static_assert(sizeof(struct vfio_user_dma_map) == 32, "[VFIO_USER_DMA_MAP]");
static_assert(offsetof(struct vfio_user_dma_map, iova) == 16, "[VFIO_USER_DMA_MAP]");

struct vfio_user_dma_unmap { /* [VFIO_USER_DMA_UNMAP] the reply is the same */
	uint32_t argsz; /* 24 */
	uint32_t flags; /* 0 or VFIO_DMA_UNMAP_FLAG_ALL */
	uint64_t iova;
	uint64_t size;
};
static_assert(sizeof(struct vfio_user_dma_unmap) == 24, "[VFIO_USER_DMA_UNMAP]");

struct vfio_user_device { /* [VFIO_USER_DEVICE_GET_INFO] */
	uint32_t argsz; /* 16 */
	uint32_t flags; /* VFIO_DEVICE_FLAGS_* */
	uint32_t nb_regions;
	uint32_t nb_irqs;
};
static_assert(sizeof(struct vfio_user_device) == 16, "[VFIO_USER_DEVICE_GET_INFO]");

struct vfio_user_region_info { /* [VFIO_USER_DEVICE_GET_REGION_INFO] */
	uint32_t argsz; /* 32, plus the capabilities */
	uint32_t flags; /* VFIO_REGION_INFO_FLAG_* */
	uint32_t index;
	uint32_t cap_offset; /* from the start of this struct */
	uint64_t size;
	uint64_t offset; /* of the region in its descriptor */
};
static_assert(sizeof(struct vfio_user_region_info) == 32, "[VFIO_USER_DEVICE_GET_REGION_INFO]");
static_assert(offsetof(struct vfio_user_region_info, size) == 16,
	      "[VFIO_USER_DEVICE_GET_REGION_INFO]");

struct vfio_user_cap { /* [VFIO cap header format] */
	uint16_t id;
	uint16_t version;
	uint32_t next; /* from the start of the region info; 0: the last */
};
static_assert(sizeof(struct vfio_user_cap) == 8, "[VFIO cap header format]");

struct vfio_user_area {
	uint64_t offset;
	uint64_t size;
};
struct vfio_user_sparse { /* [VFIO sparse mmap cap header] */
	struct vfio_user_cap cap; /* VFIO_REGION_INFO_CAP_SPARSE_MMAP, version 1 */
	uint32_t nb_areas;
	uint32_t zero;
	struct vfio_user_area area[];
};
static_assert(sizeof(struct vfio_user_sparse) == 16, "[VFIO sparse mmap cap header]");
static_assert(sizeof(struct vfio_user_area) == 16, "[VFIO region info cap sparse mmap]");

struct vfio_user_region_io_fds { /* [VFIO_USER_DEVICE_GET_REGION_IO_FDS] then the sub-regions */
	uint32_t argsz;
	uint32_t flags; /* 0 */
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_region_io_fds) == 16,
	      "[VFIO_USER_DEVICE_GET_REGION_IO_FDS]");

#define VFIO_USER_IO_FD_IOEVENTFD 0u
struct vfio_user_io_fd { /* [Sub-Region IO FD info format (ioeventfd)] */
	uint64_t offset;
	uint64_t size; /* 0: any write at offset */
	uint32_t fd_index;
	uint32_t type;
	uint32_t flags;
	uint32_t zero;
	uint64_t datamatch;
};
static_assert(sizeof(struct vfio_user_io_fd) == 40, "[Sub-Region IO FD info format]");
static_assert(offsetof(struct vfio_user_io_fd, type) == 20, "[Sub-Region IO FD info format]");

struct vfio_user_irq_info { /* [VFIO_USER_DEVICE_GET_IRQ_INFO] */
	uint32_t argsz; /* 16 */
	uint32_t flags; /* VFIO_IRQ_INFO_* */
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_irq_info) == 16, "[VFIO_USER_DEVICE_GET_IRQ_INFO]");

struct vfio_user_irq_set { /* [VFIO_USER_DEVICE_SET_IRQS] then count bytes with DATA_BOOL */
	uint32_t argsz; /* 20, plus those bytes */
	uint32_t flags; /* one VFIO_IRQ_SET_DATA_*, one VFIO_IRQ_SET_ACTION_* */
	uint32_t index;
	uint32_t start;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_irq_set) == 20, "[VFIO_USER_DEVICE_SET_IRQS]");

struct vfio_user_region_rw { /* [VFIO_USER_REGION_READ], [VFIO_USER_REGION_WRITE] then data */
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_region_rw) == 16, "[Read and Write Operations]");
static_assert(offsetof(struct vfio_user_region_rw, count) == 12, "[Read and Write Operations]");

#define VFIO_USER_MAX_MSG \
	(sizeof(struct vfio_user_hdr) + sizeof(struct vfio_user_region_rw) + VFIO_USER_MAX_XFER)

#endif /* VFIO_USER_PROTO_H */
