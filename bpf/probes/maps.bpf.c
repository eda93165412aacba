/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* No programs: the maps that all objects share, so that those can be loaded at the same time. */

#include "bpf/lib/maps.h"
