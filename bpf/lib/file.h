/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What is done to files: keys, their classes, and what is told of them. */

#include "bpf/lib/hash.h"
#include "bpf/lib/opened.h"
#include "bpf/lib/process.h"
#include "bpf/lib/verdict.h"
#include "bpf/wire/file.h"
#include "bpf/wire/shape.h"

/* Sized by the agent. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} vd_ring_file SEC(".maps");

VERDICT_CACHE(vd_file_cache, wire_access_key);

/* Paths whose opens for reading are told. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, struct wire_watched);
  __type(value, __u32);
} vd_watched SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct wire_watch);
} vd_watch SEC(".maps");

/* Where a file was made: this inode, in this directory, under this name. */
struct birth {
  __u64 device;
  __u64 inode;
  __u64 parent;
  __u64 name;
  __u32 generation;
  __u32 pad;
};

/* Who made it; and where its directory was, if a class of directories may stand for it. */
struct maker {
  __u64 workload;
  __u64 above;     /* inode of the directory that the file's directory was in */
  __u64 directory; /* its length and the kernel's own hash of its name there */
};

/* Files that were made while we watched. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct birth);
  __type(value, struct maker);
} vd_born SEC(".maps");

#define NAME_BYTES 256

/* What one open is about. Not on the stack, which holds 512 bytes for a program and what it calls.
 */
struct file_act {
  struct wire_access_key key;
  struct wire_access_key class_key;
  struct birth birth;
  struct maker maker;
  struct wire_shape shape;
  struct wire_watched path;
  __u64 name_words[NAME_BYTES / 8];
  __u64 shape_words[NAME_BYTES / 8];
  __u64 hash; /* of hash_name */
  __u32 name_bytes;
  __u32 open_flags;
  __u32 mode;
  __u32 links;
  __u32 filesystem;
  __u32 flags;     /* of the record */
  __u64 directory; /* keyed hash of the shape of the directory's name; 0: it has none */
  __u32 hook;
  __u32 buffer; /* its own number */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, ACT_BUFFERS);
  __type(key, __u32);
  __type(value, struct file_act);
} scratch_file SEC(".maps");

/* What is known of a process that has no room in the table; valid during this act alone. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, ACT_BUFFERS);
  __type(key, __u32);
  __type(value, struct process_context);
} scratch_opener SEC(".maps");

static __always_inline struct file_act* file_act(__u32 buffer) {
  return bpf_map_lookup_elem(&scratch_file, &buffer);
}

/* The keyed hash of the name in the per-CPU buffer, or of its shape. Not static: verified once. */
__noinline int hash_name(__u32 buffer, __u32 of_shape) {
  struct file_act* act = file_act(buffer);
  __u32 bytes;

  if (!act) return 0;
  bytes = of_shape ? act->shape.bytes : act->name_bytes;
  if (bytes > NAME_BYTES) return 0;
  act->hash = keyed_hash(of_shape ? act->shape_words : act->name_words, bytes);
  return 1;
}

/* Takes one byte of the name into its shape. Not static: verified once. */
__noinline int take_name_byte(__u32 buffer, __u32 at) {
  struct file_act* act = file_act(buffer);
  __u8* name;

  if (!act || at >= NAME_BYTES) return 0;
  name = (__u8*)act->name_words;
  wire_shape_take(&act->shape, at < act->name_bytes ? name[at] : 0);
  return at < act->name_bytes;
}

/* Reads the name, with zeros up to a whole word after it, and hashes it. One that is longer than
 * names are (FUSE has such) is cut, as its path is. */
static __always_inline bool read_name(struct file_act* act, struct dentry* dentry) {
  __u8* name = (__u8*)act->name_words;
  struct qstr q;

  if (bpf_core_read(&q, sizeof(q), &dentry->d_name)) return false;
  act->name_bytes = q.len < NAME_BYTES ? q.len & (NAME_BYTES - 1) : NAME_BYTES - 1;
  if (bpf_probe_read_kernel(name, act->name_bytes, q.name)) return false;
  act->name_words[act->name_bytes >> 3 & (NAME_BYTES / 8 - 1)] &=
      (1ULL << (act->name_bytes & 7) * 8) - 1;
  return hash_name(act->buffer, 0);
}

/* The functions that are not static are verified once, and not once for each way that leads to
 * them; what they are about is in the per-CPU buffer. */

/* The keyed hash of the shape of the name in the per-CPU buffer. 0: it stands for itself alone. */
__noinline int make_shape(__u32 buffer, __u32 is_directory) {
  struct file_act* act = file_act(buffer);
  __u32 at;

  if (!act || act->name_bytes > WIRE_SHAPE_BYTES || act->name_bytes < 1) return false;
  at = wire_shape_begin(&act->shape, (__u8*)act->name_words, act->name_bytes, is_directory);
  for (__u32 i = 0; i <= WIRE_SHAPE_BYTES; i++)
    if (!take_name_byte(buffer, at + i)) break;
  if (!act->shape.stars || act->shape.bytes > WIRE_SHAPE_BYTES) return false;
  __builtin_memset(act->shape_words, 0, WIRE_SHAPE_BYTES + 8);
  bpf_probe_read_kernel(act->shape_words, act->shape.bytes, act->shape.text);
  return hash_name(buffer, 1);
}

/* Makes the key of the file's class: of its directory's files with names of this shape. */
static __always_inline bool make_class_key(struct file_act* act) {
  act->class_key = act->key;
  act->class_key.inode = 0;
  act->class_key.generation = 0;
  act->class_key.grain = WIRE_GRAIN_CLASS;
  if (!make_shape(act->buffer, 0)) return false;
  act->class_key.name = act->hash;
  return true;
}

/* Makes of that the key of the class one above: of the files with names of this shape, or this
 * name, in all directories beside the file's own whose names have one shape. Not static: verified
 * once. 0: the directory's name stands for itself, or the directory is mounted there, or was
 * somewhere else when the file was made. */
__noinline int make_directory_key(__u32 buffer, __u64 file_at) {
  struct file_act* act = file_act(buffer);
  struct file* file = (void*)file_at;
  struct dentry* directory;
  struct dentry* above;
  struct maker* maker;
  __u64 inode, name;

  if (!act) return false;
  directory = BPF_CORE_READ(file, f_path.dentry, d_parent);
  above = BPF_CORE_READ(directory, d_parent);
  if (above == directory || BPF_CORE_READ(file, f_path.mnt, mnt_root) == directory) return false;
  inode = BPF_CORE_READ(above, d_inode, i_ino);
  name = BPF_CORE_READ(directory, d_name.hash_len);
  if (act->key.verb == WIRE_VERB_FILE_WRITE) {
    maker = bpf_map_lookup_elem(&vd_born, &act->birth);
    if (!maker || maker->above != inode || maker->directory != name) return false;
  }
  if (!read_name(act, directory) || !make_shape(buffer, 1)) return false;
  act->maker.above = inode;
  act->maker.directory = name;
  act->directory = act->hash;
  act->class_key.inode = act->hash;
  act->class_key.parent = inode;
  act->class_key.grain = WIRE_GRAIN_DIRECTORY;
  return true;
}

static __always_inline __u64 mount_number(struct mount* mnt) {
  struct mount___unique* unique = (void*)mnt;

  if (bpf_core_field_exists(unique->mnt_id_unique)) return BPF_CORE_READ(unique, mnt_id_unique);
  return BPF_CORE_READ(mnt, mnt_id);
}

/* Makes the key of a file that is opened, but for its subject: the only place that does. 0,
 * counted, when the file cannot be read. */
__noinline int read_access(__u32 buffer, __u64 file_at, __u32 verb) {
  struct file_act* act = file_act(buffer);
  struct file* file = (void*)file_at;
  struct dentry* dentry = BPF_CORE_READ(file, f_path.dentry);
  struct vfsmount* mnt = BPF_CORE_READ(file, f_path.mnt);
  struct inode* inode = BPF_CORE_READ(file, f_inode);
  struct inode* real = NULL;
  bool upper;

  if (!act || !read_name(act, dentry)) {
    count_error(WIRE_ERROR_READ);
    return false;
  }
  act->mode = BPF_CORE_READ(inode, i_mode);
  act->links = BPF_CORE_READ(inode, i_nlink);
  act->filesystem = BPF_CORE_READ(inode, i_sb, s_magic);
  act->open_flags = BPF_CORE_READ(file, f_flags);
  if (act->filesystem == OVERLAYFS_SUPER_MAGIC) real = overlay_real_inode(inode, &upper);
  if (!real) real = inode;
  act->birth.device = BPF_CORE_READ(real, i_sb, s_dev);
  act->birth.inode = BPF_CORE_READ(real, i_ino);
  act->birth.generation = BPF_CORE_READ(real, i_generation);
  act->birth.parent = BPF_CORE_READ(dentry, d_parent, d_inode, i_ino);
  act->birth.name = act->open_flags & O_TMPFILE_BIT ? 0 : act->hash;
  act->birth.pad = 0;
  act->key.device = act->birth.device;
  act->key.inode = verb == WIRE_VERB_FILE_CREATE ? 0 : act->birth.inode;
  act->key.generation = verb == WIRE_VERB_FILE_CREATE ? 0 : act->birth.generation;
  act->key.parent = act->birth.parent;
  act->key.name = act->birth.name;
  act->key.mount = mount_number(mount_of(mnt));
  act->key.verb = verb;
  act->key.grain = WIRE_GRAIN_OBJECT;
  act->key.pad[0] = 0;
  act->key.pad[1] = 0;
  return true;
}

/* May a class stand for this file? A regular file with one link and no execute bit, whose place in
 * its directory is its own: no mount, and if it was there before, made right there, under this
 * name, by this workload, while we watched. What came by link, rename or mount was not. */
__noinline int may_be_class(__u32 buffer, __u64 file_at, __u64 workload) {
  struct file_act* act = file_act(buffer);
  struct file* file = (void*)file_at;
  struct maker* maker;

  if (!act) return false;
  if ((act->mode & S_IFMT) != S_IFREG || (act->mode & S_IXUGO) || act->links != 1 || !act->key.name)
    return false;
  if (BPF_CORE_READ(file, f_path.mnt, mnt_root) == BPF_CORE_READ(file, f_path.dentry)) return false;
  if (act->key.verb == WIRE_VERB_FILE_CREATE) return true;
  if (act->key.verb != WIRE_VERB_FILE_WRITE) return false;
  maker = bpf_map_lookup_elem(&vd_born, &act->birth);
  return maker && maker->workload == workload;
}

static __always_inline void remember_birth(struct file_act* act, __u64 workload) {
  if (!act->birth.name) return;
  act->maker.workload = workload;
  if (bpf_map_update_elem(&vd_born, &act->birth, &act->maker, BPF_ANY))
    count_error(WIRE_ERROR_BIRTH);
}

/* The name is its shape's, else its own. */
static __always_inline bool look_above(struct file* file, struct file_act* act) {
  __u64 shape = act->class_key.name;

  if (!shape) act->class_key.name = act->key.name;
  if (make_directory_key(act->buffer, (__u64)file)) return true;
  act->class_key.name = shape;
  return false;
}

/* Looks the object up, then its classes where it may have some. On a miss l stands for the object.
 */
static __always_inline void look_up_file(struct file* file, struct file_act* act,
                                         struct governed* g, struct lookup* l) {
  act->class_key.name = 0;
  act->directory = 0;
  act->maker.above = 0;
  act->maker.directory = 0;
  l->inner = bpf_map_lookup_elem(&vd_file_cache, &g->key);
  if (l->inner) l->verdict = bpf_map_lookup_elem(l->inner, &act->key);
  if (l->verdict || !may_be_class(act->buffer, (__u64)file, g->key.workload)) return;
  act->flags |= WIRE_FILE_CLASS;
  if (make_class_key(act)) {
    if (l->inner) l->verdict = bpf_map_lookup_elem(l->inner, &act->class_key);
  } else {
    act->class_key.name = 0;
  }
  if (!l->verdict && look_above(file, act)) {
    if (l->inner) l->verdict = bpf_map_lookup_elem(l->inner, &act->class_key);
  }
  if (l->verdict) act->key = act->class_key;
}

/* Who opens a file. Where the table of processes has no room, what the kernel still knows of it. */
static __always_inline struct process_context* opener(struct task_struct* task, __u32 buffer) {
  const struct cred* cred = credentials_of(task);
  struct process_context* p = process_current();
  struct process_context* blank;
  struct file* exe;
  __u32 zero = 0;

  if (p) return p;
  blank = bpf_map_lookup_elem(&vd_blank_process, &zero);
  p = bpf_map_lookup_elem(&scratch_opener, &buffer);
  if (!p || !blank) return NULL;
  bpf_probe_read_kernel(p, sizeof(*p), blank);
  p->flags = PROCESS_REBUILT | PROCESS_HOMELESS;
  p->wire.tgid = task->tgid;
  p->wire.id.tgid = task->tgid;
  p->wire.id.start_ns = bpf_ktime_get_boot_ns();
  p->wire.home_cgroup_id = bpf_get_current_cgroup_id();
  bpf_probe_read_kernel(p->wire.comm, sizeof(p->wire.comm), task->comm);
  exe = BPF_CORE_READ(task, mm, exe_file);
  if (exe) read_code(exe, &p->wire.code, false);
  p->wire.code.flags |= WIRE_CODE_ELSEWHERE;
  read_credentials(cred, &p->wire.credentials);
  return p;
}

static __always_inline void fill_file(struct wire_file* r, struct process_context* p,
                                      struct file_act* act, struct path_buffer* path) {
  FILL_HEADER(r, FILE);
  r->header.hook = act->hook;
  copy_process(&r->process, p);
  r->key = act->key;
  r->shape = (act->flags & WIRE_FILE_CLASS) ? act->class_key.name : 0;
  r->directory = (act->flags & WIRE_FILE_CLASS) ? act->directory : 0;
  r->above = r->directory ? act->class_key.parent : 0;
  r->open_flags = act->open_flags;
  r->mode = act->mode;
  r->links = act->links;
  r->filesystem = act->filesystem;
  r->flags = act->flags;
  if (path->cut) r->flags |= WIRE_FILE_PATH_CUT;
  if (path->elsewhere) r->flags |= WIRE_FILE_ELSEWHERE;
  __builtin_memset(r->pad, 0, sizeof(r->pad));
}

#define FILL_FILE_PATH(r, from, AREA)                                                   \
  do {                                                                                  \
    __u32 path_bytes = WIRE_PATH_BYTES - (from)->begin;                                 \
    if (path_bytes > (AREA)) path_bytes = (AREA);                                       \
    bpf_probe_read_kernel((r)->path, path_bytes, &(from)->bytes[(from)->begin & 4095]); \
    (r)->file.path_bytes = path_bytes;                                                  \
  } while (0)

/* Submits the record when this CPU is the one to report, else takes it back. */
static __always_inline void finish_file(struct wire_file* r, struct file_act* act,
                                        struct governed* g, struct lookup* l,
                                        enum act_class class) {
  if (class == ACT_NEWS && !claim(g, l, &act->key, &r->process.id, true)) {
    bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
    return;
  }
  r->process.workload = g->key.workload;
  fill_slot(&r->header, g, l);
  if (class == ACT_TAPPED) {
    r->header.lane = WIRE_LANE_TAP;
    r->header.reason = WIRE_REASON_TAP;
    submit_behind(bpf_ringbuf_query(&vd_ring_tap, BPF_RB_AVAIL_DATA), WIRE_LANE_TAP, &r->header,
                  false);
  } else {
    r->header.lane = WIRE_LANE_FILE;
    r->header.reason = WIRE_REASON_NEWS;
    submit_behind(bpf_ringbuf_query(&vd_ring_file, BPF_RB_AVAIL_DATA), WIRE_LANE_FILE, &r->header,
                  false);
  }
}

#define RESERVE_FILE(class, bytes)                                     \
  ((class) == ACT_TAPPED ? bpf_ringbuf_reserve(&vd_ring_tap, bytes, 0) \
                         : bpf_ringbuf_reserve(&vd_ring_file, bytes, 0))

/* Tells of an open whose path is in the per-CPU buffer. */
static __always_inline void report_file(struct process_context* p, struct file_act* act,
                                        struct path_buffer* path, struct governed* g,
                                        struct lookup* l, enum act_class class) {
  if (WIRE_PATH_BYTES - path->begin <= WIRE_PATH_SMALL_BYTES) {
    struct wire_file_small* r = RESERVE_FILE(class, sizeof(*r));

    if (r) {
      fill_file(&r->file, p, act, path);
      r->file.header.size = sizeof(*r);
      FILL_FILE_PATH(r, path, WIRE_PATH_SMALL_BYTES);
      finish_file(&r->file, act, g, l, class);
      return;
    }
  } else {
    struct wire_file_large* r = RESERVE_FILE(class, sizeof(*r));

    if (r) {
      fill_file(&r->file, p, act, path);
      r->file.header.size = sizeof(*r);
      r->file.flags |= WIRE_FILE_LARGE;
      FILL_FILE_PATH(r, path, WIRE_PATH_BYTES);
      finish_file(&r->file, act, g, l, class);
      return;
    }
  }
  lane_dropped(class == ACT_TAPPED ? WIRE_LANE_TAP : WIRE_LANE_FILE);
  if (class == ACT_NEWS) claim(g, l, &act->key, &p->wire.id, false);
}
