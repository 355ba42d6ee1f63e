//! t
#![allow(missing_docs)]
use crate::Units;
pub fn channel_sums(dy: &[f32], _n: usize, c: usize, p: usize, w: Option<&[f32]>) -> Vec<f32> {
    let mut s = vec![0f32; c];
    for (i, d) in dy.chunks(c * p).enumerate() {
        let f = w.map_or(1.0, |w| w[i]);
        for k in 0..c {
            s[k] += f * d[k * p..(k + 1) * p].iter().sum::<f32>();
        }
    }
    s
}
pub fn unit_channel_sums(dy: &[f32], _n: usize, c: usize, p: usize, u: &Units) -> Vec<f32> {
    let mut s = vec![0f32; c * u.len()];
    for (i, d) in dy.chunks(c * p).enumerate() {
        let q = u.of_sample()[i] as usize * c;
        for k in 0..c {
            s[q + k] += d[k * p..(k + 1) * p].iter().sum::<f32>();
        }
    }
    s
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Identity,
    Relu,
    Silu,
}
impl Activation {
    fn one(self, z: f32) -> f32 {
        match self {
            Self::Identity => z,
            Self::Relu => z.max(0.0),
            Self::Silu => z / (1.0 + (-z).exp()),
        }
    }
    fn slope(self, z: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => {
                if z > 0.0 {
                    1.0
                } else {
                    0.0
                }
            }
            Self::Silu => {
                let s = 1.0 / (1.0 + (-z).exp());
                s * (1.0 + z * (1.0 - s))
            }
        }
    }
    pub fn forward(self, x: &[f32]) -> Vec<f32> {
        x.iter().map(|&z| self.one(z)).collect()
    }
    pub fn backward(self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        x.iter().zip(dy).map(|(&z, d)| d * self.slope(z)).collect()
    }
}
#[derive(Clone, Copy, Debug)]
pub struct Normalisation {
    pub batch: usize,
    pub channels: usize,
    pub positions: usize,
    pub groups: usize,
    pub epsilon: f32,
    pub activation: Activation,
}
impl Normalisation {
    pub fn forward(&self, x: &[f32], a: &[f32], b: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let m = self.channels / self.groups * self.positions;
        let mut y = vec![];
        let mut st = vec![];
        for (i, x) in x.chunks(m).enumerate() {
            let mu = x.iter().map(|&v| v as f64).sum::<f64>() / m as f64;
            let v = x.iter().map(|&v| (v as f64 - mu).powi(2)).sum::<f64>() / m as f64;
            let r = 1.0 / (v + self.epsilon as f64).sqrt();
            st.extend([mu as f32, r as f32]);
            for (j, &v) in x.iter().enumerate() {
                let c = (i % self.groups) * (self.channels / self.groups) + j / self.positions;
                y.push(self.activation.one(((v as f64 - mu) * r) as f32 * a[c] + b[c]));
            }
        }
        (y, st)
    }
    pub fn backward(&self, x: &[f32], a: &[f32], b: &[f32], st: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let cg = self.channels / self.groups;
        let m = cg * self.positions;
        let mut dx = vec![];
        let mut da = vec![0f32; self.batch * self.channels];
        let mut db = da.clone();
        for (i, (x, dy)) in x.chunks(m).zip(dy.chunks(m)).enumerate() {
            let (mu, r) = (st[2 * i], st[2 * i + 1]);
            let (mut s1, mut s2) = (0f64, 0f64);
            let mut t = vec![];
            for j in 0..m {
                let c = (i % self.groups) * cg + j / self.positions;
                let h = (x[j] - mu) * r;
                let d = dy[j] * self.activation.slope(h * a[c] + b[c]);
                let q = i / self.groups * self.channels + c;
                da[q] += d * h;
                db[q] += d;
                t.push((d * a[c], h));
                s1 += (d * a[c]) as f64;
                s2 += (d * a[c] * h) as f64;
            }
            for (d, h) in t {
                dx.push((r as f64 * (d as f64 - s1 / m as f64 - h as f64 * s2 / m as f64)) as f32);
            }
        }
        (dx, da, db)
    }
}
#[derive(Clone, Copy, Debug)]
pub struct LayerNormalisation {
    pub rows: usize,
    pub width: usize,
    pub epsilon: f32,
}
impl LayerNormalisation {
    fn transposed(&self) -> Normalisation {
        Normalisation {
            batch: self.rows,
            channels: self.width,
            positions: 1,
            groups: 1,
            epsilon: self.epsilon,
            activation: Activation::Identity,
        }
    }
    pub fn forward(&self, x: &[f32], a: &[f32], b: &[f32]) -> (Vec<f32>, Vec<f32>) {
        self.transposed().forward(x, a, b)
    }
    pub fn backward(
        &self,
        x: &[f32],
        a: &[f32],
        st: &[f32],
        dy: &[f32],
        rows_per_sample: usize,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (dx, da, db) = self.transposed().backward(x, a, a, st, dy);
        let sum = |v: Vec<f32>| {
            v.chunks(rows_per_sample * self.width)
                .flat_map(|s| (0..self.width).map(|k| s.iter().skip(k).step_by(self.width).sum::<f32>()))
                .collect::<Vec<f32>>()
        };
        (dx, sum(da), sum(db))
    }
}
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    pub batch: usize,
    pub positions: usize,
    pub inputs: usize,
    pub outputs: usize,
}
impl Linear {
    pub fn forward(&self, x: &[f32], w: &[f32], b: Option<&[f32]>) -> Vec<f32> {
        x.chunks(self.inputs)
            .flat_map(|r| {
                (0..self.outputs).map(move |o| {
                    r.iter().enumerate().map(|(i, v)| v * w[i * self.outputs + o]).sum::<f32>()
                        + b.map_or(0.0, |b| b[o])
                })
            })
            .collect()
    }
    pub fn input_gradient(&self, dy: &[f32], w: &[f32]) -> Vec<f32> {
        dy.chunks(self.outputs)
            .flat_map(|r| {
                (0..self.inputs)
                    .map(move |i| r.iter().enumerate().map(|(o, v)| v * w[i * self.outputs + o]).sum::<f32>())
            })
            .collect()
    }
    pub fn weight_gradient(&self, x: &[f32], dy: &[f32], f: Option<&[f32]>) -> Vec<f32> {
        let mut g = vec![0f32; self.inputs * self.outputs];
        for (r, (x, d)) in x.chunks(self.inputs).zip(dy.chunks(self.outputs)).enumerate() {
            let f = f.map_or(1.0, |f| f[r / self.positions]);
            for i in 0..self.inputs {
                for o in 0..self.outputs {
                    g[i * self.outputs + o] += f * x[i] * d[o];
                }
            }
        }
        g
    }
    pub fn unit_gradients(&self, x: &[f32], dy: &[f32], u: &Units) -> Vec<f32> {
        let l = self.inputs * self.outputs;
        let mut g = vec![0f32; l * u.len()];
        for (r, (x, d)) in x.chunks(self.inputs).zip(dy.chunks(self.outputs)).enumerate() {
            let q = u.of_sample()[r / self.positions] as usize * l;
            for i in 0..self.inputs {
                for o in 0..self.outputs {
                    g[q + i * self.outputs + o] += x[i] * d[o];
                }
            }
        }
        g
    }
    pub fn unit_squared_norms(&self, x: &[f32], dy: &[f32], u: &Units) -> Vec<f64> {
        crate::squared_norms(&self.unit_gradients(x, dy, u), self.inputs * self.outputs)
    }
}
#[derive(Clone, Copy, Debug)]
pub struct Embedding {
    pub batch: usize,
    pub positions: usize,
    pub entries: usize,
    pub width: usize,
}
impl Embedding {
    pub fn unit_gradients(&self, ix: &[u32], dy: &[f32], u: &Units) -> Vec<f32> {
        let l = self.entries * self.width;
        let mut g = vec![0f32; l * u.len()];
        for (r, (&i, d)) in ix.iter().zip(dy.chunks(self.width)).enumerate() {
            let q = u.of_sample()[r / self.positions] as usize * l + i as usize * self.width;
            for k in 0..self.width {
                g[q + k] += d[k];
            }
        }
        g
    }
    pub fn unit_squared_norms(&self, ix: &[u32], dy: &[f32], u: &Units) -> Vec<f64> {
        crate::squared_norms(&self.unit_gradients(ix, dy, u), self.entries * self.width)
    }
    pub fn weight_gradient(&self, ix: &[u32], dy: &[f32], f: Option<&[f32]>) -> Vec<f32> {
        let mut g = vec![0f32; self.entries * self.width];
        for (r, (&i, d)) in ix.iter().zip(dy.chunks(self.width)).enumerate() {
            let f = f.map_or(1.0, |f| f[r / self.positions]);
            for k in 0..self.width {
                g[i as usize * self.width + k] += f * d[k];
            }
        }
        g
    }
}
