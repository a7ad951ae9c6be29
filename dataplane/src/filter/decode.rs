//! One instruction of classic BPF to the step it stands for, with all that can be checked before a frame is there.

use pcap_sys::Instruction;

use super::program::{BadProgram, SCRATCH_WORDS};

/// Fields of the code, linux/bpf_common.h: the class, then size and mode of a load, or operation and source of a computation.
const CLASS: u16 = 0x07;
const SIZE: u16 = 0x18;
const MODE: u16 = 0xe0;
const OPERATION: u16 = 0xf0;
const FROM_X: u16 = 0x08;
/// Bits that no instruction has.
const UNUSED: u16 = 0xff00;

/// An instruction, decoded. Jumps hold the number of the instruction they lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    LoadWord(u32),
    LoadHalf(u32),
    LoadByte(u32),
    LoadWordAtX(u32),
    LoadHalfAtX(u32),
    LoadByteAtX(u32),
    LoadLength,
    LoadConstant(u32),
    LoadMemory(u8),
    LoadXLength,
    LoadXConstant(u32),
    LoadXMemory(u8),
    /// Four times the low half of an octet: the length of an IPv4 header.
    LoadXHeaderLength(u32),
    Store(u8),
    StoreX(u8),
    Compute(Operation, Operand),
    Negate,
    ToX,
    FromX,
    Jump {
        to: u16,
    },
    Branch {
        condition: Condition,
        operand: Operand,
        then: u16,
        otherwise: u16,
    },
    Return(u32),
    ReturnA,
}

/// What the accumulator is computed or compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Constant(u32),
    X,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Or,
    And,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

/// Checks the instruction at `at` of `count`.
pub(super) fn decode(at: usize, count: usize, instruction: Instruction) -> Result<Step, BadProgram> {
    let Instruction { code, k, .. } = instruction;
    let unknown = BadProgram::UnknownCode { at, code };
    if code & UNUSED != 0 {
        return Err(unknown);
    }
    let memory = || match u8::try_from(k) {
        Ok(index) if usize::from(index) < SCRATCH_WORDS => Ok(index),
        _ => Err(BadProgram::NoSuchMemory(at)),
    };
    match code & CLASS {
        0x00 => load(code, k)
            .map_or_else(|| if code == 0x60 { memory().map(Step::LoadMemory) } else { Err(unknown) }, Ok),
        0x01 => match code {
            0x01 => Ok(Step::LoadXConstant(k)),
            0x61 => memory().map(Step::LoadXMemory),
            0x81 => Ok(Step::LoadXLength),
            0xb1 => Ok(Step::LoadXHeaderLength(k)),
            _ => Err(unknown),
        },
        0x02 if code == 0x02 => memory().map(Step::Store),
        0x03 if code == 0x03 => memory().map(Step::StoreX),
        0x04 => compute(at, code, k),
        0x05 => jump(at, count, instruction),
        0x06 => match code {
            0x06 => Ok(Step::Return(k)),
            0x16 => Ok(Step::ReturnA),
            _ => Err(unknown),
        },
        0x07 => match code {
            0x07 => Ok(Step::ToX),
            0x87 => Ok(Step::FromX),
            _ => Err(unknown),
        },
        _ => Err(unknown),
    }
}

/// A load into the accumulator, but for scratch memory.
fn load(code: u16, k: u32) -> Option<Step> {
    match (code & MODE, code & SIZE) {
        (0x00, 0x00) => Some(Step::LoadConstant(k)),
        (0x20, 0x00) => Some(Step::LoadWord(k)),
        (0x20, 0x08) => Some(Step::LoadHalf(k)),
        (0x20, 0x10) => Some(Step::LoadByte(k)),
        (0x40, 0x00) => Some(Step::LoadWordAtX(k)),
        (0x40, 0x08) => Some(Step::LoadHalfAtX(k)),
        (0x40, 0x10) => Some(Step::LoadByteAtX(k)),
        (0x80, 0x00) => Some(Step::LoadLength),
        _ => None,
    }
}

fn operand(code: u16, k: u32) -> Operand {
    if code & FROM_X != 0 { Operand::X } else { Operand::Constant(k) }
}

fn compute(at: usize, code: u16, k: u32) -> Result<Step, BadProgram> {
    let operand = operand(code, k);
    let operation = match code & OPERATION {
        0x00 => Operation::Add,
        0x10 => Operation::Subtract,
        0x20 => Operation::Multiply,
        0x30 => Operation::Divide,
        0x40 => Operation::Or,
        0x50 => Operation::And,
        0x60 => Operation::ShiftLeft,
        0x70 => Operation::ShiftRight,
        0x80 if code & FROM_X == 0 => return Ok(Step::Negate),
        0x90 => Operation::Modulo,
        0xa0 => Operation::Xor,
        _ => return Err(BadProgram::UnknownCode { at, code }),
    };
    match (operation, operand) {
        (Operation::Divide | Operation::Modulo, Operand::Constant(0)) => Err(BadProgram::DivisionByZero(at)),
        (Operation::ShiftLeft | Operation::ShiftRight, Operand::Constant(32..)) => {
            Err(BadProgram::ShiftTooFar(at))
        }
        _ => Ok(Step::Compute(operation, operand)),
    }
}

fn jump(at: usize, count: usize, instruction: Instruction) -> Result<Step, BadProgram> {
    let Instruction { code, jt, jf, k } = instruction;
    let to = |skipped: u32| {
        let to = usize::try_from(skipped).ok().and_then(|skipped| skipped.checked_add(at + 1));
        let inside = to.filter(|to| *to < count).and_then(|to| u16::try_from(to).ok());
        inside.ok_or(BadProgram::JumpOutside(at))
    };
    let condition = match code & OPERATION {
        0x00 if code & FROM_X == 0 => return Ok(Step::Jump { to: to(k)? }),
        0x10 => Condition::Equal,
        0x20 => Condition::Greater,
        0x30 => Condition::GreaterOrEqual,
        0x40 => Condition::AnyBit,
        _ => return Err(BadProgram::UnknownCode { at, code }),
    };
    let (then, otherwise) = (to(u32::from(jt))?, to(u32::from(jf))?);
    Ok(Step::Branch { condition, operand: operand(code, k), then, otherwise })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Program;

    const RETURN: Instruction = Instruction { code: 0x06, jt: 0, jf: 0, k: 1 };

    fn program(code: u16, jt: u8, k: u32) -> Result<Program, BadProgram> {
        Program::new(vec![Instruction { code, jt, jf: 0, k }, RETURN])
    }

    #[test]
    fn programs_that_could_go_wrong_are_refused() {
        assert_eq!(Program::new(vec![]), Err(BadProgram::Length(0)));
        assert_eq!(Program::new(vec![RETURN; 4_097]), Err(BadProgram::Length(4_097)));
        assert_eq!(Program::new(vec![Instruction { code: 0x07, ..RETURN }]), Err(BadProgram::NoReturn));
        for (code, jt, k, wrong) in [
            (0x05, 0, u32::MAX, BadProgram::JumpOutside(0)),
            (0x05, 0, 1, BadProgram::JumpOutside(0)),
            (0x15, 1, 0, BadProgram::JumpOutside(0)),
            (0x34, 0, 0, BadProgram::DivisionByZero(0)),
            (0x94, 0, 0, BadProgram::DivisionByZero(0)),
            (0x64, 0, 32, BadProgram::ShiftTooFar(0)),
            (0x02, 0, 16, BadProgram::NoSuchMemory(0)),
            (0x61, 0, 272, BadProgram::NoSuchMemory(0)),
            (0x0d05, 0, 0, BadProgram::UnknownCode { at: 0, code: 0x0d05 }),
            (0x18, 0, 0, BadProgram::UnknownCode { at: 0, code: 0x18 }),
            (0x8c, 0, 0, BadProgram::UnknownCode { at: 0, code: 0x8c }),
        ] {
            assert_eq!(program(code, jt, k), Err(wrong), "{code:#x}");
        }
    }

    #[test]
    fn what_is_not_there_rejects_the_frame() {
        let run = |code, k| program(code, 0, k).unwrap().run(&[1, 2, 3, 4], 60);
        assert_eq!((run(0x20, 0), run(0x20, 1)), (1, 0));
        assert_eq!((run(0x28, 2), run(0x28, 3)), (1, 0));
        assert_eq!((run(0x30, 3), run(0x30, 4)), (1, 0));
        assert_eq!((run(0xb1, 3), run(0xb1, 0xffff_f000)), (1, 0));
        assert_eq!(run(0x3c, 0), 0, "X is 0, and nothing is divided by it");
        assert_eq!(run(0x6c, 0), 1);
    }
}
