use gatewright_e2e::{Mint, Psql, Scene};
fn main() {
    let scene = Scene::open().unwrap();
    let p = &scene.postgres;
    let d = Psql::new(p.port(), &p.certificates().authority(), p.account(), p.password());
    let g = scene.gateway.psql(&Mint { ttl: "8h", ..Mint::default() }).unwrap();
    for (n, c) in [("direct", d), ("gate", g)] {
        let t: String = c.environment().iter().map(|(k, v)| format!("export {k}='{v}'\n")).collect();
        std::fs::write(format!("/tmp/w/h2.{n}.env"), t).unwrap();
    }
    println!("ready {}", scene.gateway.config().display());
    std::thread::sleep(std::time::Duration::from_secs(7000));
}
