#ifndef VITRAIL_CCAIRO_H
#define VITRAIL_CCAIRO_H

#include <cairo.h>

#endif
