//! One of the demo's systems, as those are that use the national SDK: it takes what waits by VXP.

use api::v1;
use vxp::client::{CallError, Client, Options};
use vxp::{MessageType, Progress};

use super::stage::Actor;
use crate::failure::Failure;

/// The agency whose system does.
pub(super) const AGENCY: &str = "000.00.00.G22";

/// A client of the VXP endpoint.
pub(super) fn connect(endpoint: String, system: &str, key: &str) -> Result<Client, Failure> {
    // The axis is on this machine and speaks plain HTTP here.
    let http = reqwest::Client::builder().no_proxy().build();
    let http = http.map_err(|error| Failure::caused_by(&error))?;
    Ok(Client::new(http, Options::new(endpoint, system, key)))
}

/// Lists what waits, downloads each into a new file, and only then says `done`.
pub(super) async fn receive(
    actor: &Actor,
    client: &Client,
) -> Result<Vec<v1::DeliveryHeader>, Failure> {
    std::fs::create_dir_all(&actor.inbox)?;
    let mut received = Vec::new();
    loop {
        let before = received.len();
        for message_type in [MessageType::Edoc, MessageType::Status] {
            let mut rows = client.received(message_type, None).await.map_err(failed)?;
            while let Some(row) = rows.next().await.map_err(failed)? {
                let header = header(actor, &row.doc_id).await?;
                let mut file = actor.new_file(&header)?;
                let mut content = client.download_edoc(&row.doc_id).await.map_err(failed)?;
                while let Some(bytes) = content.next().await.map_err(failed)? {
                    std::io::Write::write_all(&mut file, &bytes)?;
                }
                file.as_file().sync_all()?;
                file.keep().map_err(|error| Failure::from(error.error))?;
                let done = client.update_status(&row.doc_id, Progress::Done, "");
                done.await.map_err(failed)?;
                received.push(header);
            }
        }
        if received.len() == before {
            return Ok(received);
        }
    }
}

/// What the screen tells of a delivery; VXP's own rows are shorter.
async fn header(actor: &Actor, delivery: &str) -> Result<v1::DeliveryHeader, Failure> {
    let request = v1::TraceRequest {
        id: delivery.to_owned(),
    };
    let trace = actor.client.trace(request).await?;
    let package = trace.packages.into_iter().next();
    let package = package.ok_or_else(|| Failure::refused(format!("{delivery} has no story")))?;
    let receiver = package
        .deliveries
        .iter()
        .find(|one| one.delivery_id == delivery)
        .and_then(|one| one.receiver.clone());
    Ok(v1::DeliveryHeader {
        delivery_id: delivery.to_owned(),
        package_id: package.package_id,
        sender: package.sender,
        receiver,
        document: package.document,
        status: package.status,
        ..v1::DeliveryHeader::default()
    })
}

fn failed(error: CallError) -> Failure {
    Failure::caused_by(&error)
}
