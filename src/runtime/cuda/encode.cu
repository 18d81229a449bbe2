// Pictures to latents in fixed point on a GPU: the integers of `codec::fixed`, bit for bit.
//
// Two launches. `rows` makes the planes of the pixels (the sum of the colours, two opponents of half
// size) and the packets of their rows: one thread a row, which walks along a segment of it with the
// states of all levels in registers. What it gives, the tracks, goes through memory once. `columns`
// walks down the tracks, one thread a column of a track, and projects and quantizes each row of cells
// as it comes, one lane a cell.
//
// A walk that does not begin at the edge of the picture begins `ABOVE` cells before what it gives:
// then its states are those of a walk from the edge.

typedef unsigned char u8;
typedef short i16;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define DEVICE static __device__ __forceinline__

enum {
    // Samples per cell and axis; bands of the sum and of an opponent.
    CELL = 8,
    BANDS = 64,
    HALF_BANDS = 16,
    // Half the range of the sum: mid-gray becomes 0.
    CENTRE = 3060,
    // Cells by which packets are behind what is pushed, and cells before its own that a walk needs.
    DELAY = 4,
    ABOVE = DELAY + 1,
    // Rows and cells of a block of `rows`, and cells of its segment.
    STRIP = 64,
    CHUNK = 16,
    SEGMENT = 64,
    // Columns of a block of `columns`, its warps at most, and rows of cells of its segment.
    LANES = 32,
    WARPS = 12,
    FALL = 64,
};

// How the pixels of a picture lie in memory.
enum { RGB = 0, GRAY = 1, NV12 = 2, YUYV = 3 };

// A batch of pictures of one size. Strides are in bytes for pixels, in values for all else.
struct Picture {
    int height, width;
    // Rows and columns of cells.
    int rows, cols;
    int format, colour;
    // From row to row, from row to row of colour differences, and where these begin (NV12).
    int pitch, chroma_pitch;
    u64 chroma, picture;
    // From row to row of a track, and from picture to picture of tracks.
    int track_pitch, channels;
    u64 tracks;
};

// The bands that some channel reads, one bit each. Words, since an array that is indexed among the
// arguments of a kernel would be copied by every thread.
struct Reads {
    // Of the columns of the sum, eight bits for each band of the rows.
    u64 sum;
    // Of the columns of both opponents, twice four bits for each.
    u32 half;
    // Of the rows; then their numbers, four bits each, and how many there are.
    u32 sum_across, half_across, sum_list, half_list, sum_tracks, half_pairs;
};

DEVICE int listed(u32 list, int i) { return list >> (4 * i) & 15; }

struct Channel {
    i16 bias, factor, part, back;
    u16 shift, count;
    u32 first;
};

DEVICE int saturated(int v) { return min(max(v, -32768), 32767); }
DEVICE int add(int a, int b) { return saturated(a + b); }
DEVICE int sub(int a, int b) { return saturated(a - b); }
DEVICE int mul(int a, int c) { return (a * c + 0x4000) >> 15; }

// What one level carries from pair to pair: `runtime/cpu/lift.rs`.
struct Level {
    int even, odd, d1, s1, d2;
};

template <bool EDGE>
DEVICE void step(Level& l, int even, int odd, int n, int count, int& low, int& high) {
    if (EDGE && n == count) even = l.even;
    int t = add(l.even, even);
    int d1 = sub(sub(l.odd, t), mul(t, 19206));
    int d1_before = EDGE && n == 1 ? d1 : l.d1;
    int s1 = add(l.even, mul(add(d1, d1_before), -1736));
    if (EDGE && n == count + 1) s1 = l.s1;
    int d2 = add(l.d1, mul(add(l.s1, s1), 28931));
    int d2_before = EDGE && n == 2 ? d2 : l.d2;
    low = add(l.s1, mul(add(d2, d2_before), 14533));
    high = d2;
    l.even = even;
    l.odd = odd;
    l.d1 = d1;
    l.s1 = s1;
    l.d2 = d2;
}

// Packets of the sum, or of both opponents, which take three levels each.
struct State {
    Level levels[7];
    // Bands of the second level that wait for their pair; of opponents a cell that waits.
    int waiting[4];
};

// Pushes eight samples of cell `cell` of `all`; gives the bands of the cell `DELAY` before that are
// `read`, one bit each.
template <bool EDGE>
DEVICE void push3(State& s, const int (&in)[8], int cell, int all, u32 read, int (&out)[8]) {
    int split[2][4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        step<EDGE>(s.levels[0], in[2 * i], in[2 * i + 1], 4 * cell + i, 4 * all, split[0][i],
                   split[1][i]);
    }
#pragma unroll
    for (int v1 = 0; v1 < 2; v1++) {
        if (!(read & (15u << (4 * v1)))) continue;
        int deep[2][2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            step<EDGE>(s.levels[1 + v1], split[v1][2 * i], split[v1][2 * i + 1], 2 * cell - 1 + i,
                       2 * all, deep[0][i], deep[1][i]);
        }
#pragma unroll
        for (int v2 = 0; v2 < 2; v2++) {
            const int v = 4 * v1 + 2 * v2;
            int even = s.waiting[2 * v1 + v2];
            s.waiting[2 * v1 + v2] = deep[v2][1];
            if (!(read & (3u << v))) continue;
            step<EDGE>(s.levels[3 + v / 2], even, deep[v2][0], cell - 2, all, out[v], out[v + 1]);
        }
    }
}

// The same for four samples and two levels, which are only three cells behind: push them one later.
template <bool EDGE>
DEVICE void push2(Level* levels, const int (&in)[4], int cell, int all, u32 read, int (&out)[4]) {
    int split[2][2];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        step<EDGE>(levels[0], in[2 * i], in[2 * i + 1], 2 * cell + i, 2 * all, split[0][i],
                   split[1][i]);
    }
#pragma unroll
    for (int v1 = 0; v1 < 2; v1++) {
        if (!(read & (3u << (2 * v1)))) continue;
        step<EDGE>(levels[1 + v1], split[v1][0], split[v1][1], cell - 1, all, out[2 * v1],
                   out[2 * v1 + 1]);
    }
}

// Whether the ends of a signal are near, `Cells::edge`.
DEVICE bool edge(int cell, int all) { return cell <= DELAY + 1 || cell + 1 > all; }

DEVICE int mirror(int i, int len) {
    if (i < len) return i;
    if (len == 1) return 0;
    int period = 2 * (len - 1);
    int k = i % period;
    return k < len ? k : period - k;
}

// The sum of the colours of a pixel and both opponents: `fixed::pixel`.
DEVICE void pixel(const u8* p, const Picture& s, int y, int x, int& sum, int& a, int& b) {
    int luma, blue, red;
    if (s.format == RGB) {
        const u8* at = p + (u64)y * s.pitch + 3 * x;
        int r = at[0], g = at[1], bl = at[2];
        sum = 8 * (r + g + bl) - CENTRE;
        a = 8 * (r - bl);
        b = 8 * (2 * g - r - bl);
        return;
    }
    if (s.format == GRAY) {
        sum = 24 * p[(u64)y * s.pitch + x] - CENTRE;
        a = b = 0;
        return;
    }
    if (s.format == NV12) {
        luma = p[(u64)y * s.pitch + x];
        const u8* at = p + s.chroma + (u64)(y / 2) * s.chroma_pitch + x / 2 * 2;
        blue = at[0];
        red = at[1];
    } else {
        const u8* at = p + (u64)y * s.pitch + x / 2 * 4;
        luma = at[2 * (x % 2)];
        blue = at[1];
        red = at[3];
    }
    luma = mul((luma - 16) * 32, 28617) - CENTRE;
    blue = (blue - 128) * 128;
    red = (red - 128) * 128;
    sum = luma + mul(blue, 3329) + mul(red, 1604);
    a = mul(blue, -4131) + mul(red, 3269);
    b = mul(blue, -5736) + mul(red, -6599);
}

DEVICE u32 pack(int low, int high) { return (u32)(u16)low | (u32)high << 16; }
DEVICE int low_of(u32 v) { return (i16)v; }
DEVICE int high_of(u32 v) { return (int)v >> 16; }

// Where a track begins, in values: tracks of the sum have eight rows a row of cells, others four.
DEVICE u64 track(const Picture& s, int sums, int halves) {
    return (u64)s.track_pitch * s.rows * (CELL * sums + CELL / 2 * halves);
}

// One row of the sum: a segment's chunk of it, in place.
template <bool EDGE>
DEVICE void along_sum(State& state, u32* at, int cell, int all, u32 read) {
    int in[8], out[8] = {0, 0, 0, 0, 0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        in[2 * i] = low_of(at[i]);
        in[2 * i + 1] = high_of(at[i]);
    }
    push3<EDGE>(state, in, cell, all, read, out);
#pragma unroll
    for (int i = 0; i < 4; i++) at[i] = pack(out[2 * i], out[2 * i + 1]);
}

// One row of an opponent, of which the cell before is pushed.
template <bool EDGE>
DEVICE void along_half(Level* levels, int* waiting, u32* at, int cell, int all, u32 read) {
    int in[4] = {low_of(waiting[0]), high_of(waiting[0]), low_of(waiting[1]), high_of(waiting[1])};
    int out[4] = {0, 0, 0, 0};
    waiting[0] = at[0];
    waiting[1] = at[1];
    push2<EDGE>(levels, in, cell - 1, all, read, out);
    at[0] = pack(out[0], out[1]);
    at[1] = pack(out[2], out[3]);
}

// Grid: segments of columns, strips of rows, pictures. Block: a thread for each row of the sum, and
// one for each of the opponents if there is colour.
extern "C" __global__ void __launch_bounds__(STRIP + STRIP / 2)
    rows(const u8* __restrict__ pixels, i16* __restrict__ tracks, Picture s, Reads r) {
    // A word more a row, so that the rows of a warp lie in different banks.
    __shared__ u32 sums[STRIP][CHUNK * CELL / 2 + 1];
    __shared__ u32 halves[2][STRIP / 2][CHUNK * CELL / 4 + 1];
    const int thread = threadIdx.x, threads = blockDim.x;
    const int top = blockIdx.y * STRIP;
    const int start = blockIdx.x * SEGMENT, end = min(start + SEGMENT, s.cols);
    const int from = max(start - ABOVE, 0);
    pixels += blockIdx.z * s.picture;
    tracks += blockIdx.z * s.tracks;
    State state = {};

    // A chunk gives the cells `DELAY` before those that it takes: places in memory are whole sectors.
    for (int base = start + DELAY - CHUNK; base < end + DELAY; base += CHUNK) {
        const int first = max(base, from), last = min(base + CHUNK, s.cols);
        const int wide = max(last - first, 0) * CELL / 2;
        for (int i = thread; i < wide * (STRIP / 2); i += threads) {
            const int column = i % wide, row = i / wide;
            const int x = first * CELL + 2 * column, y = top + 2 * row;
            if (y >= s.rows * CELL) break;
            int sum[2][2], a = 2, b = 2;
#pragma unroll
            for (int k = 0; k < 4; k++) {
                int of_a, of_b;
                pixel(pixels, s, mirror(y + k / 2, s.height), mirror(x + k % 2, s.width),
                      sum[k / 2][k % 2], of_a, of_b);
                a += of_a;
                b += of_b;
            }
            const int place = (first - base) * CELL / 2 + column;
            sums[2 * row][place] = pack(sum[0][0], sum[0][1]);
            sums[2 * row + 1][place] = pack(sum[1][0], sum[1][1]);
            if (s.colour) {
                ((i16*)halves[0][row])[place] = (i16)(a >> 2);
                ((i16*)halves[1][row])[place] = (i16)(b >> 2);
            }
        }
        __syncthreads();
        for (int cell = first; cell < min(base + CHUNK, end + DELAY); cell++) {
            const int at = cell - base;
            if (thread < STRIP) {
                u32* words = &sums[thread][at * CELL / 2];
                if (edge(cell, s.cols))
                    along_sum<true>(state, words, cell, s.cols, r.sum_across);
                else
                    along_sum<false>(state, words, cell, s.cols, r.sum_across);
            } else {
#pragma unroll
                for (int p = 0; p < 2; p++) {
                    u32* words = &halves[p][thread - STRIP][at * CELL / 4];
                    Level* levels = state.levels + 3 * p;
                    int* waiting = state.waiting + 2 * p;
                    if (edge(cell, s.cols))
                        along_half<true>(levels, waiting, words, cell, s.cols, r.half_across);
                    else
                        along_half<false>(levels, waiting, words, cell, s.cols, r.half_across);
                }
            }
        }
        __syncthreads();
        const int left = base - DELAY;
        if (left >= start) {
            // A unit is a row of a track: its values stand in every fourth word of a row, or second.
            const int units = STRIP * (int)(r.sum_tracks + r.half_pairs);
            for (int unit = thread; unit < units; unit += threads) {
                const i16* values;
                int stride;
                u64 to;
                if (unit < STRIP * (int)r.sum_tracks) {
                    const int row = unit % STRIP, number = unit / STRIP;
                    if (top + row >= s.rows * CELL) continue;
                    values = (const i16*)sums[row] + listed(r.sum_list, number);
                    stride = CELL;
                    to = track(s, number, 0) + (u64)(top + row) * s.track_pitch;
                } else {
                    const int rest = unit - STRIP * (int)r.sum_tracks;
                    const int row = rest % (STRIP / 2), number = rest / (STRIP / 2);
                    if (top / 2 + row >= s.rows * CELL / 2) continue;
                    values = (const i16*)halves[number % 2][row] + listed(r.half_list, number / 2);
                    stride = CELL / 2;
                    to = track(s, r.sum_tracks, number) + (u64)(top / 2 + row) * s.track_pitch;
                }
                uint4* out = (uint4*)(tracks + to + left);
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    u32 words[4];
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        const i16* two = values + (8 * half + 2 * i) * stride;
                        words[i] = pack(two[0], two[stride]);
                    }
                    out[half] = make_uint4(words[0], words[1], words[2], words[3]);
                }
            }
        }
        __syncthreads();
    }
}

// Number of a band that is `across` in the packets of the rows, for `down` = 0.
DEVICE int band_across(int levels, int across) {
    int band = 0;
    for (int l = 0; l < levels; l++) band |= (across >> l & 1) << (2 * l + 1);
    return band;
}

// What `down` adds to it.
__device__ constexpr int band_down(int down) { return (down & 1) | (down & 2) << 1 | (down & 4) << 2; }

// Channels of a row of cells, one lane a cell, warp by warp.
DEVICE void project(const i16 (*bands)[LANES], const Channel* __restrict__ channels,
                    const u32* __restrict__ terms, int count, int warp, int warps, int lane,
                    i16* out, u64 channel_stride, bool inside) {
    for (int c = warp; c < count; c += warps) {
        const Channel channel = channels[c];
        const u32* term = terms + channel.first;
        int sum = channel.bias;
#pragma unroll 4
        for (int i = 0; i < channel.count; i++) {
            const u32 both = term[i];
            sum = add(sum, mul(bands[both >> 16][lane], (i16)both));
        }
        int scaled = mul(sum, channel.factor);
        const int down = (scaled >> 15) & channel.back;
        scaled = add(add(scaled, channel.part), down);
        if (inside) out[c * channel_stride] = (i16)(scaled >> channel.shift);
    }
}

// Grid: blocks of columns, segments of rows of cells, pictures. Block: a warp for each track of the
// sum and for each pair of tracks of the opponents.
extern "C" __global__ void __launch_bounds__(LANES * WARPS, 2)
    columns(const i16* __restrict__ tracks, i16* __restrict__ latents,
            const Channel* __restrict__ channels, const u32* __restrict__ terms, Picture s, Reads r) {
    __shared__ i16 bands[2][BANDS + 2 * HALF_BANDS][LANES];
    const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES, warps = blockDim.x / LANES;
    const int x = blockIdx.x * LANES + lane;
    const bool inside = x < s.cols;
    const int start = blockIdx.y * FALL, end = min(start + FALL, s.rows);
    tracks += blockIdx.z * s.tracks + min(x, s.cols - 1);
    const u64 cells = (u64)s.rows * s.cols;
    latents += blockIdx.z * cells * s.channels + x;

    const bool of_sum = warp < (int)r.sum_tracks;
    const int across = of_sum ? listed(r.sum_list, warp) : listed(r.half_list, warp - (int)r.sum_tracks);
    const i16* from;
    int first_band;
    if (of_sum) {
        from = tracks + track(s, warp, 0);
        first_band = band_across(3, across);
    } else {
        from = tracks + track(s, r.sum_tracks, 2 * (warp - (int)r.sum_tracks));
        first_band = BANDS + band_across(2, across);
    }
    // From the track of one opponent to that of the other.
    const u64 other = track(s, 0, 1);

    State state = {};
    int current = 0;
    for (int cell = max(start - ABOVE, 0); cell < end + DELAY; cell++) {
        int in[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        if (of_sum && cell < s.rows) {
            const i16* at = from + (u64)cell * CELL * s.track_pitch;
#pragma unroll
            for (int i = 0; i < 8; i++) in[i] = at[i * s.track_pitch];
        } else if (!of_sum && cell >= 1 && cell - 1 < s.rows) {
            const i16* at = from + (u64)(cell - 1) * (CELL / 2) * s.track_pitch;
#pragma unroll
            for (int i = 0; i < 8; i++) in[i] = at[i / 4 * other + i % 4 * s.track_pitch];
        }
        i16(*to)[LANES] = bands[current];
        if (of_sum) {
            int out[8];
            const u32 read = r.sum >> (8 * across) & 255;
            if (edge(cell, s.rows))
                push3<true>(state, in, cell, s.rows, read, out);
            else
                push3<false>(state, in, cell, s.rows, read, out);
#pragma unroll
            for (int d = 0; d < 8; d++) {
                if (read >> d & 1) to[first_band + band_down(d)][lane] = (i16)out[d];
            }
        } else {
#pragma unroll
            for (int p = 0; p < 2; p++) {
                int out[4], four[4] = {in[4 * p], in[4 * p + 1], in[4 * p + 2], in[4 * p + 3]};
                const u32 read = r.half >> (8 * across + 4 * p) & 15;
                if (edge(cell, s.rows))
                    push2<true>(state.levels + 3 * p, four, cell - 1, s.rows, read, out);
                else
                    push2<false>(state.levels + 3 * p, four, cell - 1, s.rows, read, out);
#pragma unroll
                for (int d = 0; d < 4; d++) {
                    if (read >> d & 1)
                        to[first_band + p * HALF_BANDS + band_down(d)][lane] = (i16)out[d];
                }
            }
        }
        const int done = cell - DELAY;
        if (done >= start) {
            // One barrier a row is enough: the other half of the bands is written next.
            __syncthreads();
            project(to, channels, terms, s.channels, warp, warps, lane,
                    latents + (u64)done * s.cols, cells, inside);
            current ^= 1;
        }
    }
}
