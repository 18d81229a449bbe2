//! Shapes by their signed distance, shaded, with soft edges.

/// Colour with 0..255 per channel.
pub(super) type Colour = [f32; 3];

/// A filled shape around a centre.
#[derive(Clone, Copy)]
pub(super) enum Outline {
    /// Of this radius, shaded as a ball lit from above left.
    Disc(f32),
    /// Half its width, half its height, cosine and sine of its turn.
    Rectangle(f32, f32, f32, f32),
    /// Radius of the circle around it, cosine and sine of its turn.
    Triangle(f32, f32, f32),
}

/// A shape in the picture.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// What it is.
    pub outline: Outline,
    /// Column and row of the centre.
    pub centre: (f32, f32),
    /// Base colour.
    pub colour: Colour,
    /// Pixels over which the edge fades.
    pub soft: f32,
    /// Greatest coverage: 1 is opaque.
    pub opacity: f32,
}

impl Shape {
    /// Radius of a circle that holds everything the shape paints.
    pub fn reach(&self) -> f32 {
        self.soft
            + match self.outline {
                Outline::Disc(radius) | Outline::Triangle(radius, ..) => radius,
                Outline::Rectangle(a, b, ..) => a + b,
            }
    }

    /// Coverage and colour at an offset from the centre.
    #[inline]
    pub fn at(&self, x: f32, y: f32) -> (f32, Colour) {
        let (distance, shade) = match self.outline {
            Outline::Disc(radius) => {
                let square = x * x + y * y;
                (square.sqrt() - radius, ball(x / radius, y / radius, square / (radius * radius)))
            }
            Outline::Rectangle(a, b, cos, sin) => {
                let (u, v) = (x * cos + y * sin, y * cos - x * sin);
                ((u.abs() - a).max(v.abs() - b), 1.0 - 0.22 * u / a - 0.12 * v / b)
            }
            Outline::Triangle(radius, cos, sin) => {
                let (u, v) = (x * cos + y * sin, y * cos - x * sin);
                // Three half planes; 0.866 is half the root of 3.
                let sides = (0.866 * u + 0.5 * v).max(0.5 * v - 0.866 * u).max(-v);
                (sides - 0.5 * radius, 1.05 - 0.25 * v / radius - 0.1 * u / radius)
            }
        };
        let coverage = (0.5 - distance / self.soft).clamp(0.0, 1.0) * self.opacity;
        (
            coverage,
            self.colour
                .map(|c| if shade > 1.0 { c + (255.0 - c) * (shade - 1.0) } else { c * shade }),
        )
    }
}

/// Brightness of a ball: ambient, diffuse and a highlight; 1 keeps the colour, 2 is white.
fn ball(x: f32, y: f32, square: f32) -> f32 {
    let z = (1.0 - square).max(0.0).sqrt();
    let light = (-0.48 * x - 0.58 * y + 0.66 * z).max(0.0);
    // Products, not powers: these round alike on every machine.
    let shine = light * light * light;
    let shine = shine * shine * shine * shine;
    0.28 + 0.82 * light + 0.75 * shine * shine
}
