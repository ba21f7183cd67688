// FFmpeg's headers, and what Swift cannot import from them: function-like macros, and calls that
// changed between FFmpeg 5 and 7.
#ifndef VITRAIL_CFFMPEG_H
#define VITRAIL_CFFMPEG_H

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

static const int vitrail_again = AVERROR(EAGAIN);
static const int vitrail_end = AVERROR_EOF;
static const int64_t vitrail_no_time = AV_NOPTS_VALUE;
// Macros up to FFmpeg 7.0, an enumeration afterwards.
static const int vitrail_scaling = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP;

/// The 3x3 display matrix of a stream, or NULL when it has none.
static inline const int32_t *vitrail_display_matrix(const AVStream *stream) {
#if LIBAVCODEC_VERSION_MAJOR > 60 || (LIBAVCODEC_VERSION_MAJOR == 60 && LIBAVCODEC_VERSION_MINOR >= 31)
    const AVPacketSideData *side = av_packet_side_data_get(
        stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return side && side->size >= 36 ? (const int32_t *)side->data : 0;
#else
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    return data && size >= 36 ? (const int32_t *)data : 0;
#endif
}

#endif
