import CCairo

/// A Cairo surface over a copy of a picture, in which coordinates are those of the original picture.
final class Canvas {
    private let surface: OpaquePointer
    private let context: OpaquePointer
    private let width: Int
    private let height: Int
    private let scale: Double
    /// The width of a line, in pixels of the copy; everything else is a multiple of it.
    private let line: Double
    private let fontSize: Double
    private var labels: [Box] = []

    /// - Parameter scale: how many times larger than the original the picture already is.
    init(_ image: Image, scale: Double) throws(MediaError) {
        guard
            let surface = cairo_image_surface_create(
                CAIRO_FORMAT_RGB24, Int32(image.width), Int32(image.height)),
            cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS, let context = cairo_create(surface)
        else {
            throw .invalid("no memory to draw on a picture of \(image.width) x \(image.height) pixels")
        }
        self.surface = surface
        self.context = context
        self.scale = scale
        width = image.width
        height = image.height
        let side = Double(max(width, height))
        line = max(1.5, side / 320)
        fontSize = max(13, side / 42)
        cairo_surface_flush(surface)
        let stride = Int(cairo_image_surface_get_stride(surface))
        let base = cairo_image_surface_get_data(surface)!
        image.pixels.withUnsafeBufferPointer { input in
            for y in 0..<height {
                // Each pixel is one native-endian word.
                let row = UnsafeMutableRawPointer(base + y * stride).assumingMemoryBound(to: UInt32.self)
                let source = input.baseAddress! + y * width * 3
                for x in 0..<width {
                    row[x] =
                        UInt32(source[3 * x]) << 16 | UInt32(source[3 * x + 1]) << 8
                        | UInt32(source[3 * x + 2])
                }
            }
        }
        cairo_surface_mark_dirty(surface)
        cairo_set_line_join(context, CAIRO_LINE_JOIN_ROUND)
        cairo_set_line_cap(context, CAIRO_LINE_CAP_ROUND)
        cairo_select_font_face(context, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD)
        cairo_set_font_size(context, fontSize)
    }

    deinit {
        cairo_destroy(context)
        cairo_surface_destroy(surface)
    }

    var image: Image {
        cairo_surface_flush(surface)
        let stride = Int(cairo_image_surface_get_stride(surface))
        let base = cairo_image_surface_get_data(surface)!
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { output, count in
            for y in 0..<height {
                let row = UnsafeRawPointer(base + y * stride).assumingMemoryBound(to: UInt32.self)
                let target = output.baseAddress! + y * width * 3
                for x in 0..<width {
                    target[3 * x] = UInt8(truncatingIfNeeded: row[x] >> 16)
                    target[3 * x + 1] = UInt8(truncatingIfNeeded: row[x] >> 8)
                    target[3 * x + 2] = UInt8(truncatingIfNeeded: row[x])
                }
            }
            count = width * height * 3
        }
        return Image(width: width, height: height, pixels: pixels)
    }

    func draw(_ mask: Mask, _ colour: Colour) {
        for contour in mask.contours() {
            cairo_new_sub_path(context)
            for point in contour { cairo_line_to(context, point.x * scale, point.y * scale) }
            cairo_close_path(context)
        }
        set(colour, alpha: 0.42)
        cairo_fill_preserve(context)
        set(colour)
        cairo_set_line_width(context, line)
        cairo_stroke(context)
    }

    func draw(_ box: Box, _ colour: Colour) {
        guard let box = scaled(box) else { return }
        // The line stays inside the picture even when the box is the whole of it.
        let inset = line / 2
        let left = max(inset, box.x)
        let top = max(inset, box.y)
        let right = min(Double(width) - inset, box.maxX)
        let bottom = min(Double(height) - inset, box.maxY)
        cairo_rectangle(context, left, top, max(0, right - left), max(0, bottom - top))
        stroke(colour, width: line)
    }

    func draw(_ keypoints: Keypoints, skeleton: [(Int, Int)], _ colour: Colour) {
        let places = keypoints.joints.map { joint in
            joint.visibility == .absent ? nil : scaled(joint.point)
        }
        for (from, to) in skeleton where places.indices.contains(from) && places.indices.contains(to) {
            guard let start = places[from], let end = places[to] else { continue }
            cairo_move_to(context, start.x, start.y)
            cairo_line_to(context, end.x, end.y)
        }
        stroke(colour, width: line)
        for (joint, place) in zip(keypoints.joints, places) {
            guard let place else { continue }
            disc(
                at: place, radius: line * 2,
                fill: joint.visibility == .visible ? colour : Colour(255, 255, 255), rim: colour)
        }
    }

    func draw(_ point: Point, _ colour: Colour) {
        guard let place = scaled(point) else { return }
        disc(at: place, radius: line * 3, fill: colour, rim: Colour(255, 255, 255))
    }

    /// Draws a tag above the anchor, or where else it hides no other tag and stays in the picture.
    func draw(label: String, at anchor: Box, _ colour: Colour) {
        guard var anchor = scaled(anchor) else { return }
        if anchor.width == 0 && anchor.height == 0 {
            // Beside the disc of a point, not over it.
            let reach = line * 4
            anchor = Box(x: anchor.x - reach, y: anchor.y - reach, width: 2 * reach, height: 2 * reach)
        }
        let padding = fontSize * 0.3
        let text = fitted(label, to: Double(width) - 2 * padding)
        var font = cairo_font_extents_t()
        cairo_font_extents(context, &font)
        let tagWidth = advance(text) + 2 * padding
        let tagHeight = font.ascent + font.descent + padding / 2

        func place(_ x: Double, _ y: Double) -> Box {
            Box(
                x: max(0, min(x, Double(width) - tagWidth)), y: max(0, min(y, Double(height) - tagHeight)),
                width: tagWidth, height: tagHeight)
        }
        let left = anchor.x - line / 2
        let candidates = [
            place(left, anchor.y - tagHeight), place(left, anchor.y), place(left, anchor.maxY),
            place(left, anchor.maxY - tagHeight), place(anchor.maxX - tagWidth, anchor.y - tagHeight),
            place(anchor.maxX - tagWidth, anchor.maxY), place(anchor.maxX, anchor.y),
            place(anchor.x - tagWidth, anchor.y),
        ]
        // `min` keeps the first of equals, and the places come in order of preference.
        func cost(_ tag: Box) -> Double { labels.reduce(0) { $0 + ($1.intersection(tag)?.area ?? 0) } }
        let tag = candidates.min { cost($0) < cost($1) } ?? candidates[0]
        labels.append(tag)
        cairo_rectangle(context, tag.x, tag.y, tag.width, tag.height)
        set(colour)
        cairo_fill(context)
        set(colour.contrasting)
        cairo_move_to(context, tag.x + padding, tag.y + padding / 4 + font.ascent)
        cairo_show_text(context, text)
        cairo_new_path(context)
    }

    /// One line of text no wider than the room there is.
    private func fitted(_ label: String, to room: Double) -> String {
        var text = String(label.prefix(200).map { $0.isNewline || $0 == "\t" || $0 == "\0" ? " " : $0 })
        guard advance(text) > room else { return text }
        while text.count > 1 && advance(text + "…") > room { text.removeLast() }
        return text + "…"
    }

    private func advance(_ text: String) -> Double {
        var extents = cairo_text_extents_t()
        cairo_text_extents(context, text, &extents)
        return extents.x_advance
    }

    private func disc(at centre: Point, radius: Double, fill: Colour, rim: Colour) {
        cairo_arc(context, centre.x, centre.y, radius, 0, 2 * Double.pi)
        set(fill)
        cairo_fill_preserve(context)
        set(rim)
        cairo_set_line_width(context, line * 0.8)
        cairo_stroke(context)
    }

    /// Strokes the path over a thin dark edge, so that it shows on any ground.
    private func stroke(_ colour: Colour, width: Double) {
        cairo_set_line_width(context, width * 1.6)
        set(Colour(0, 0, 0), alpha: 0.35)
        cairo_stroke_preserve(context)
        cairo_set_line_width(context, width)
        set(colour)
        cairo_stroke(context)
    }

    private func set(_ colour: Colour, alpha: Double = 1) {
        cairo_set_source_rgba(
            context, Double(colour.red) / 255, Double(colour.green) / 255, Double(colour.blue) / 255, alpha)
    }

    /// `nil` for places that Cairo's fixed-point coordinates cannot hold; nothing of them would show.
    private func scaled(_ point: Point) -> Point? {
        let place = Point(x: point.x * scale, y: point.y * scale)
        return abs(place.x) < 1e6 && abs(place.y) < 1e6 ? place : nil
    }

    private func scaled(_ box: Box) -> Box? {
        guard let corner = scaled(Point(x: box.x, y: box.y)),
            let end = scaled(Point(x: box.maxX, y: box.maxY))
        else { return nil }
        return Box(x: corner.x, y: corner.y, width: end.x - corner.x, height: end.y - corner.y)
    }
}
