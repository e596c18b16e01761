//! LeaveGroup (key 13): takes members out of a group of the classic protocol.
//!
//! The group's coordinator answers. Who is gone already is answered with UNKNOWN_MEMBER_ID, so a member that repeats the
//! request may take that for success. An administrator who names members by their group instance ids alone should look
//! again instead: another member may have come under the same one.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | one member |
//! | 1 | throttle time (KIP-124) |
//! | 2 | the broker answers before it throttles (KIP-219) |
//! | 3 | many members, also by group instance id (KIP-345) |
//! | 4 | flexible |
//! | 5 | why a member leaves, for the broker's log (KIP-800) |

use super::ErrorCode;
use crate::message;
use crate::wire::Text;

message! {
    /// Who leaves.
    pub struct LeaveGroupRequest {
        0.. => group_id: Text;
        0..=2 => member_id: Text;
        3.. => members: Vec<LeavingMember>;
    }

    /// A member that leaves.
    pub struct LeavingMember {
        /// Empty when the group instance id is to tell.
        3.. => member_id: Text;
        3.. => group_instance_id: Option<Text>, null 3..;
        5.. => reason: Option<Text>, null 5.., ignorable;
    }

    /// What became of it.
    pub struct LeaveGroupResponse {
        1.. => throttle_time_ms: i32, ignorable;
        0.. => error_code: ErrorCode;
        3.. => members: Vec<LeavingMemberResponse>;
    }

    /// What became of one member.
    pub struct LeavingMemberResponse {
        3.. => member_id: Text;
        3.. => group_instance_id: Option<Text> = Some(Text::default()), null 3..;
        3.. => error_code: ErrorCode;
    }
}

impl LeaveGroupRequest {
    /// Takes one member out, in a way that suits `version`. Before version 3 only the member id counts.
    pub fn one(group_id: Text, member: LeavingMember, version: i16) -> LeaveGroupRequest {
        if version < 3 {
            LeaveGroupRequest { group_id, member_id: member.member_id, ..LeaveGroupRequest::default() }
        } else {
            LeaveGroupRequest { group_id, members: vec![member], ..LeaveGroupRequest::default() }
        }
    }
}

impl LeaveGroupResponse {
    /// What became of one member that left: the error of the whole, or else its own.
    pub fn error_of_one(&self) -> ErrorCode {
        let own = self.members.first().map_or(ErrorCode::NONE, |member| member.error_code);
        if self.error_code == ErrorCode::NONE { own } else { self.error_code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};
    use bytes::BytesMut;

    #[test]
    fn one_member_leaves_alike_in_every_version() {
        for version in 0..=5 {
            let member = LeavingMember {
                member_id: "m-1".into(),
                reason: (version >= 5).then(|| "closed".into()),
                ..Default::default()
            };
            let request = LeaveGroupRequest::one("billing".into(), member, version);
            let mut body = BytesMut::new();
            encode(&request, version, version >= 4, &mut body).unwrap();
            let back: LeaveGroupRequest = decode(&body.freeze(), version, version >= 4).unwrap();
            assert_eq!(back, request, "version {version}");
        }
    }

    #[test]
    fn the_error_of_one_member_is_found_at_either_place() {
        let member = LeavingMemberResponse { error_code: ErrorCode::UNKNOWN_MEMBER_ID, ..Default::default() };
        let by_member = LeaveGroupResponse { members: vec![member], ..Default::default() };
        assert_eq!(by_member.error_of_one(), ErrorCode::UNKNOWN_MEMBER_ID);
        let whole = LeaveGroupResponse { error_code: ErrorCode::NOT_COORDINATOR, ..by_member };
        assert_eq!(whole.error_of_one(), ErrorCode::NOT_COORDINATOR);
        assert_eq!(LeaveGroupResponse::default().error_of_one(), ErrorCode::NONE);
    }
}
